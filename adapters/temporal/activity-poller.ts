/**
 * Polls one queue for activities, and gives no poll up (decision 0145). The SDK's Worker drops the poll that is under way when it
 * is shut down; the server may have handed it a task at that moment, which then waits for its timeout. Here the last poll ends
 * by itself, within ten seconds, and what it brings is run as any other.
 *
 * 0.1 MB each (256 of them, measured), where the SDK's Worker takes 0.3 to 0.8: a controller has one for each shard.
 */
import type { Polled } from './activity-task';
import { answered, pauseAfter, work, type WorkOptions } from './activity-work';
import { codecOf } from './messages';
import type { RawTemporal } from './raw';

export interface PollerOptions extends WorkOptions {
  temporal(): RawTemporal;
  /** Of each poll, when it has ended: why it failed; null: it has not. */
  onPolled(error: Error | null): void;
  /** No other poll is begun after it. */
  stop: AbortSignal;
}

/** The server answers a second before. Below ten seconds it warns of those who ask. */
const POLL_MS = 11_000;
const EMPTY_MS = 1_000;
const AT_ONCE = 100;

/** Resolves after `stop`, when the last poll has ended and all that was begun. Never rejects. */
export async function pollActivities(options: PollerOptions): Promise<void> {
  const { stop, onPolled } = options;
  const running = new Set<Promise<void>>();
  for (let failures = 0; !stop.aborted;) {
    try {
      const polled = await poll(options);
      failures = 0;
      onPolled(null);
      if (polled === null) continue;
      const ended = work(options, polled).finally(() => running.delete(ended));
      running.add(ended);
      if (running.size >= AT_ONCE) await Promise.race(running);
    } catch (error) {
      onPolled(error as Error);
      await pauseAfter(failures++, stop);
    }
  }
  await Promise.all(running);
}

async function poll(options: PollerOptions): Promise<Polled | null> {
  const { temporal, namespace, identity, taskQueue } = options;
  const codec = codecOf('PollActivityTaskQueue');
  const request = codec.request({ namespace, identity, taskQueue: { name: taskQueue } });
  const askedAtMs = performance.now();
  const answer = await answered((done) => temporal().poll(request, POLL_MS, done));
  const polled = codec.answer(answer) as Polled;
  if (polled.taskToken.length > 0) return polled;
  // A server that ends has nothing for anybody, at once.
  if (performance.now() - askedAtMs < EMPTY_MS) throw new Error('an empty answer at once');
  return null;
}
