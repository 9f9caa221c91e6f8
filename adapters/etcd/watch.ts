import { setTimeout as sleep } from 'node:timers/promises';
import { type EtcdClient } from './client';
import { advance, revisionOfEvent } from './cursor';
import { EtcdError } from './errors';
import type { KeyRange, Listing, WatchItem } from './port';
import { WatchStream } from './stream';

/** Before asking again after a failure without any progress in between. */
const retryMs = 100;

/**
 * The contents of a range, and then every change of it, until `signal` is aborted. A cut stream goes on
 * at another member from the last revision received; after a compaction, or anything else that
 * is not plainly the network, a new snapshot comes. While etcd is out of reach nothing comes at all.
 * Memory is bounded: while the consumer is busy, the stream is not read.
 * @throws {EtcdError} `refused`: asking again cannot help
 */
export async function* listWatch(
  client: EtcdClient,
  range: KeyRange,
  signal: AbortSignal,
): AsyncGenerator<WatchItem, void, void> {
  let next = 0; // 0: nothing is known, list first
  let member = client.preferred;
  while (!signal.aborted) {
    if (next === 0) {
      const listing = await listPatiently(client, range, signal);
      if (!listing) return;
      yield { kind: 'snapshot', ...listing };
      if (signal.aborted) return; // over that very snapshot: no listener was there yet to hear it
      next = listing.revision + 1;
    }
    const stream = new WatchStream(client, member, range, next);
    const close = (): void => stream.close();
    signal.addEventListener('abort', close);
    let progress = false;
    try {
      let message = await stream.read();
      for (; !('end' in message); message = await stream.read()) {
        progress = true;
        for (const event of message.events) {
          if (revisionOfEvent(event) >= next) yield event;
        }
        next = advance(next, message);
        if (message.events.length === 0) yield { kind: 'synced', revision: next - 1 };
      }
      if (message.end === 'relist') next = 0;
      if (!progress) client.problem = `${client.endpoint(member).url}: ${message.why}`;
    } finally {
      signal.removeEventListener('abort', close);
      stream.close();
    }
    member = (member + 1) % client.endpoints.length;
    if (!progress) await sleep(retryMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Null when aborted. */
async function listPatiently(
  client: EtcdClient,
  range: KeyRange,
  signal: AbortSignal,
): Promise<Listing | null> {
  while (!signal.aborted) {
    try {
      return await client.list(range);
    } catch (error) {
      if (!(error instanceof EtcdError) || error.failure.code === 'refused') throw error;
      await sleep(retryMs, undefined, { signal }).catch(() => undefined);
    }
  }
  return null;
}
