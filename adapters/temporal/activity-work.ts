/** An activity that was polled, by whichever poller: it is run, and answered. */
import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import {
  ApplicationFailure,
  CancelledFailure,
  DefaultFailureConverter,
  defaultPayloadConverter,
  ensureTemporalFailure,
} from '@temporalio/common';
import type { Done } from '../grpc/raw';
import { ActivityTask, type Polled } from './activity-task';
import { codecOf } from './messages';
import type { RawTemporal } from './raw';

export type Activities = Record<string, (argument: never) => Promise<unknown>>;

export interface WorkOptions {
  /** The way of that moment: it is another one after certificates were renewed. */
  temporal(): Pick<RawTemporal, 'call'>;
  namespace: string;
  identity: string;
  taskQueue: string;
  activities: Activities;
  /** Some time after it, what runs still is cancelled. */
  stop: AbortSignal;
}

const CALL_MS = 10_000;
/** After `stop`, for what runs to end by itself before it is cancelled. */
const GRACE_MS = 5_000;
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 5_000;
const ANSWER_TRIES = 8;

const converter = new DefaultFailureConverter();

/** What a task is answered with. */
interface Outcome {
  method: string;
  more: object;
}

/** Never rejects: what can't be read, or can't be said, fails as anything else. */
export async function work(options: WorkOptions, polled: Polled): Promise<void> {
  const { namespace, identity } = options;
  const whose = { namespace, identity, taskToken: polled.taskToken };
  const { method, more } = await perform(options, polled, whose).catch(failed);
  await answer(options, method, { ...whose, ...more });
}

async function perform(options: WorkOptions, polled: Polled, whose: object): Promise<Outcome> {
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
async function answer(options: WorkOptions, method: string, request: object): Promise<void> {
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

async function call({ temporal }: WorkOptions, method: string, request: object) {
  const codec = codecOf(method);
  const bytes = codec.request(request);
  const deadline = new Date(Date.now() + CALL_MS);
  return codec.answer(await answered((done) => temporal().call(method, bytes, deadline, done)));
}

export const answered = (ask: (done: Done) => void): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    ask((error, answer) => (error === null ? resolve(answer ?? new Uint8Array()) : reject(error)));
  });

/**
 * Before a poll is tried again, `failures` in a row before this one. Those that lost the server together must not
 * come back together. Ends with the signal.
 */
export async function pauseAfter(failures: number, signal: AbortSignal): Promise<void> {
  const mostMs = Math.min(RETRY_FIRST_MS * 2 ** Math.min(failures, 10), RETRY_MAX_MS);
  await sleep(Math.random() * mostMs, undefined, { signal }).catch(() => undefined);
}

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
