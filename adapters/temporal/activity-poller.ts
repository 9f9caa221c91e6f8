/**
 * Polls one queue for activities, and gives no poll up (decision 0145). The SDK's Worker drops the poll that is under way when it
 * is shut down; the server may have handed it a task at that moment, which then waits for its timeout. Here the last poll ends
 * by itself, within ten seconds, and what it brings is run as any other.
 *
 * 0.1 MB each (256 of them, measured), where the SDK's Worker takes 0.3 to 0.8: a controller has one for each shard.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import {
  ApplicationFailure,
  CancelledFailure,
  DefaultFailureConverter,
  defaultPayloadConverter,
  ensureTemporalFailure,
} from '@temporalio/common';
import { ActivityTask, type Polled } from './activity-task';
import { codecOf } from './messages';
import type { Done, RawTemporal } from './raw';

export type Activities = Record<string, (argument: never) => Promise<unknown>>;

export interface PollerOptions {
  /** The way of that moment: it is another one after certificates were renewed. */
  temporal(): RawTemporal;
  namespace: string;
  identity: string;
  taskQueue: string;
  activities: Activities;
  /** Of each poll, when it has ended: why it failed; null: it has not. */
  onPolled(error: Error | null): void;
  /** No other poll is begun after it. */
  stop: AbortSignal;
}

/** The server answers a second before. Below ten seconds it warns of those who ask. */
const POLL_MS = 11_000;
const EMPTY_MS = 1_000;
const CALL_MS = 10_000;
const AT_ONCE = 100;
/** After `stop`, for what runs to end by itself before it is cancelled. */
const GRACE_MS = 5_000;
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 5_000;
const ANSWER_TRIES = 8;

const converter = new DefaultFailureConverter();

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
      const mostMs = Math.min(RETRY_FIRST_MS * 2 ** Math.min(failures++, 10), RETRY_MAX_MS);
      // Those that lost the server together must not come back together.
      await sleep(Math.random() * mostMs, undefined, { signal: stop }).catch(() => undefined);
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

/** What a task is answered with. */
interface Outcome {
  method: string;
  more: object;
}

/** Never rejects: what can't be read, or can't be said, fails as anything else. */
async function work(options: PollerOptions, polled: Polled): Promise<void> {
  const { namespace, identity } = options;
  const whose = { namespace, identity, taskToken: polled.taskToken };
  const { method, more } = await perform(options, polled, whose).catch(failed);
  await answer(options, method, { ...whose, ...more });
}

async function perform(options: PollerOptions, polled: Polled, whose: object): Promise<Outcome> {
  const { namespace, taskQueue, activities, stop } = options;
  const task = new ActivityTask(polled, namespace, taskQueue, {
    beat: async () => {
      const answer = await call(options, 'RecordActivityTaskHeartbeat', whose).catch(
        goneIsCancelled,
      );
      return (answer as { cancelRequested: boolean }).cancelRequested;
    },
  });
  const calmly = onceAfter(stop, GRACE_MS, () => task.cancel('WORKER_SHUTDOWN'));
  try {
    const { activityType } = task.info;
    const activity = Object.hasOwn(activities, activityType) ? activities[activityType] : undefined;
    const value = await task.run(activity ?? unknown(activityType));
    const result = { payloads: [defaultPayloadConverter.toPayload(value)] };
    return { method: 'RespondActivityTaskCompleted', more: { result } };
  } catch (error) {
    if (!(error instanceof CancelledFailure)) throw error;
    if (!task.cancelledByServer) throw ended;
    return { method: 'RespondActivityTaskCanceled', more: {} };
  } finally {
    calmly();
  }
}

function failed(error: unknown): Outcome {
  const said = (why: unknown): object =>
    converter.errorToFailure(ensureTemporalFailure(why), defaultPayloadConverter);
  const method = 'RespondActivityTaskFailed';
  try {
    return { method, more: { failure: said(error) } };
  } catch (unsayable) {
    return { method, more: { failure: said(unsayable) } };
  }
}

const ended = ApplicationFailure.retryable(
  'The worker ends, and this did not within its time.',
  'WorkerShutdown',
);

const unknown = (type: string) => (): Promise<never> =>
  Promise.reject(
    ApplicationFailure.retryable(`There is no activity "${type}" here.`, 'NotFoundError'),
  );

/** It timed out meanwhile, or its workflow has ended: nobody waits for it. */
const isGone = (error: unknown): boolean =>
  (error as grpc.ServiceError).code === grpc.status.NOT_FOUND;

const goneIsCancelled = (error: unknown): { cancelRequested: boolean } => {
  if (isGone(error)) return { cancelRequested: true };
  throw error;
};

/** Never rejects: unanswered, it comes again after its timeout. */
async function answer(options: PollerOptions, method: string, request: object): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await call(options, method, request);
      return;
    } catch (error) {
      const { code } = error as grpc.ServiceError;
      if (isGone(error) || code === grpc.status.INVALID_ARGUMENT || tries === ANSWER_TRIES) return;
      await sleep(Math.min(RETRY_FIRST_MS * 2 ** tries, RETRY_MAX_MS));
    }
  }
}

async function call({ temporal }: PollerOptions, method: string, request: object) {
  const codec = codecOf(method);
  const bytes = codec.request(request);
  const deadline = new Date(Date.now() + CALL_MS);
  return codec.answer(await answered((done) => temporal().call(method, bytes, deadline, done)));
}

const answered = (ask: (done: Done) => void): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    ask((error, answer) => (error === null ? resolve(answer ?? new Uint8Array()) : reject(error)));
  });

/** The function that is returned calls it off. */
function onceAfter(signal: AbortSignal, delayMs: number, act: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const begin = (): void => void (timer = setTimeout(act, delayMs));
  if (signal.aborted) begin();
  else signal.addEventListener('abort', begin, { once: true });
  return () => {
    clearTimeout(timer);
    signal.removeEventListener('abort', begin);
  };
}
