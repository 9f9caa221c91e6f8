/**
 * Upkeep of what nobody deletes: blocks that have run out, and pieces of blobs that no key names any
 * more. Any controller may do it, and several at once: each deletion is under the revision it saw.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { EtcdClient } from '../../adapters/etcd/client';
import { type Condition, unchanged } from '../../adapters/etcd/port';
import type { BlobRef } from '../../core/model/blocklist';
import { keys, lastSegment } from '../../core/model/keys';
import { parseBlocklistValue, parseFeedValue, type Parsed } from '../../core/model/values';
import { type DesiredState, readKey } from './desired';
import { unboundMarks } from './kinds';

const SWEEP_EVERY_MS = 60_000;

export interface SweepDependencies {
  etcd: EtcdClient;
  desired: DesiredState;
  guard: () => Condition;
  log: Logger;
  /** Monotonic, ms. */
  now?: () => number;
  /** Epoch ms. */
  clock?: () => number;
}

/** Edges let a block go by their own clocks; this is for those that are behind. */
export const BLOCK_GRACE_MS = 60_000;
/** Between writing pieces and the key that names them lies less than a minute. */
export const CHUNK_GRACE_MS = 600_000;

export class Sweep {
  readonly #deps: Required<SweepDependencies>;
  /** By SHA-256: the revision of a piece that nothing named, and since when. */
  readonly #unnamed = new Map<string, { revision: number; sinceMs: number }>();

  constructor(dependencies: SweepDependencies) {
    this.#deps = { now: () => performance.now(), clock: () => Date.now(), ...dependencies };
  }

  async runForEver(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(SWEEP_EVERY_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      await this.run().catch((error: unknown) => {
        this.#deps.log.warn({ err: error }, 'a sweep was cut short; the next one goes on');
      });
    }
  }

  async run(): Promise<void> {
    if (!this.#deps.desired.ready) return;
    await this.#blocks();
    await this.#chunks();
  }

  async #blocks(): Promise<void> {
    const { etcd, desired, guard, clock, log } = this.#deps;
    const endedBefore = clock() - BLOCK_GRACE_MS;
    for (const { value, revision } of desired.blocks()) {
      if (value.untilMs === null || value.untilMs > endedBefore) continue;
      const key = keys.block(value.prefix);
      const outcome = await etcd.write(
        [guard(), unchanged(key, revision)],
        [{ op: 'delete', key }, ...unboundMarks([value.nodes])],
      );
      if (outcome.committed) log.info({ prefix: value.prefix }, 'a block has run out');
    }
  }

  async #chunks(): Promise<void> {
    const { etcd, now, log } = this.#deps;
    const named = await this.#named();
    const present = await etcd.revisions(keys.chunks);
    for (const sha256 of this.#unnamed.keys()) {
      if (named.has(sha256) || !present.has(keys.chunk(sha256))) this.#unnamed.delete(sha256);
    }
    for (const [key, revision] of present) {
      const sha256 = lastSegment(key);
      if (named.has(sha256)) continue;
      const seen = this.#unnamed.get(sha256);
      // Written again: somebody is about to name it.
      if (seen?.revision !== revision) this.#unnamed.set(sha256, { revision, sinceMs: now() });
      else if (now() - seen.sinceMs >= CHUNK_GRACE_MS) {
        const outcome = await etcd.write([unchanged(key, revision)], [{ op: 'delete', key }]);
        if (outcome.committed) log.info({ sha256 }, 'a piece that nothing names is deleted');
      }
    }
  }

  /** From etcd itself, not from our picture of it; throws where a key can't be read. */
  async #named(): Promise<Set<string>> {
    const refs = [
      ...(await this.#values(keys.blocklists, parseBlocklistValue)).map(({ blob }) => blob),
      ...(await this.#values(keys.feeds, parseFeedValue)).map(({ list }) => list),
    ].filter((ref): ref is BlobRef => ref !== null);
    return new Set(refs.flatMap(({ chunks }) => chunks.map(({ sha256 }) => sha256)));
  }

  async #values<T>(prefix: string, parse: (text: string) => Parsed<T>): Promise<T[]> {
    const { entries } = await this.#deps.etcd.list({ prefix });
    return entries.flatMap((entry) => readKey(entry, parse)?.value ?? []);
  }
}
