/**
 * A Worker for activities alone, in some kilobytes: one long poll at a time. The SDK's own
 * Worker takes 0.3 to 0.8 MB and threads of its own, and its `Connection` makes code for each method of each
 * service, a megabyte: nothing for a host, and too much for thousands of simulated ones in one process.
 *
 * As an agent's Worker, and other than the poller of a controller's shards, it gives its poll up when it ends, and asks for a minute.
 */
import type { Polled } from '../../adapters/temporal/activity-task';
import {
  answered,
  pauseAfter,
  work,
  type WorkOptions,
} from '../../adapters/temporal/activity-work';
import { codecOf } from '../../adapters/temporal/messages';

export interface LightPollerOptions extends Omit<WorkOptions, 'stop'> {
  /** A poll has failed, or the last one has not: the next one is asked. */
  onHealth(up: boolean): void;
  /** Ends the poll under way as well; what was begun is done, and told, to its end. */
  signal: AbortSignal;
}

/** The server answers an empty poll after a minute; what takes longer is a dead connection. */
const POLL_TIMEOUT_MS = 75_000;
const NEVER = new AbortController().signal;

/** Polls until the signal; never rejects. */
export async function pollLightly(options: LightPollerOptions): Promise<void> {
  const { signal, onHealth } = options;
  const running = new Set<Promise<void>>();
  for (let failed = 0; !signal.aborted;) {
    try {
      onHealth(failed === 0);
      const polled = await poll(options);
      failed = 0;
      if (polled.taskToken.length === 0) continue;
      const ended = work({ ...options, stop: NEVER }, polled).finally(() => running.delete(ended));
      running.add(ended);
    } catch {
      if (signal.aborted) break;
      await pauseAfter(failed++, signal);
    }
  }
  await Promise.all(running);
}

async function poll(options: LightPollerOptions): Promise<Polled> {
  const { temporal, namespace, identity, taskQueue, signal } = options;
  const codec = codecOf('PollActivityTaskQueue');
  const request = codec.request({ namespace, identity, taskQueue: { name: taskQueue } });
  const deadline = new Date(Date.now() + POLL_TIMEOUT_MS);
  let cancel = (): void => undefined;
  try {
    const answer = await answered((done) => {
      const under = temporal().call('PollActivityTaskQueue', request, deadline, done);
      cancel = () => under.cancel();
      signal.addEventListener('abort', cancel, { once: true });
    });
    return codec.answer(answer) as Polled;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}
