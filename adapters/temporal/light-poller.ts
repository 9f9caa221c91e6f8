/**
 * A Worker for activities alone, in some kilobytes: one long poll and one task at a time. The SDK's own
 * Worker takes 0.3 to 0.8 MB and threads of its own, and its `Connection` makes code for each method of each
 * service, a megabyte: nothing for a host, and too much for thousands of simulated ones in one process.
 *
 * What it says is what the SDK says (temporal/api/workflowservice/v1): PollActivityTaskQueue,
 * RespondActivityTaskCompleted, RespondActivityTaskFailed, RecordActivityTaskHeartbeat. It hears of no
 * cancellation: whoever runs tasks that must be cancelled takes the SDK's.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type * as grpc from '@grpc/grpc-js';
import {
  DefaultFailureConverter,
  defaultPayloadConverter,
  fromPayloadsAtIndex,
  type Payload,
} from '@temporalio/common';
import { codecOf } from './messages';

export interface LightTask {
  type: string;
  argument: unknown;
  activityId: string;
  attempt: number;
  /** Epoch ms, of the present attempt. */
  scheduledAtMs: number;
  /** Tells the server that it goes on. */
  heartbeat(): void;
}

/** Unary calls, bytes in and bytes out. */
export interface LightCalls {
  call(
    path: string,
    request: Uint8Array,
    deadline: Date,
    done: (error: grpc.ServiceError | null, answer?: Uint8Array) => void,
  ): { cancel(): void };
}

export interface LightPollerOptions {
  /** To a Temporal server, or to what speaks as one. */
  calls: LightCalls;
  namespace: string;
  identity: string;
  taskQueue: string;
  run(task: LightTask): Promise<unknown>;
  /** A poll has failed, or the last one has not: the next one is asked. */
  onHealth(up: boolean): void;
  /** Ends the poll under way as well. */
  signal: AbortSignal;
}

/** The server answers an empty poll after a minute; what takes longer is a dead connection. */
const POLL_TIMEOUT_MS = 75_000;
const CALL_TIMEOUT_MS = 10_000;
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 5_000;
const ANSWER_TRIES = 3;
/** Of gRPC. */
const NOT_FOUND = 5;

const failures = new DefaultFailureConverter();

/** Polls until the signal; never rejects. */
export async function pollLightly(options: LightPollerOptions): Promise<void> {
  const { signal, onHealth } = options;
  for (let failed = 0; !signal.aborted;) {
    try {
      onHealth(failed === 0);
      const task = await poll(options);
      failed = 0;
      if (task !== null) await work(options, task);
    } catch {
      if (signal.aborted) return;
      const mostMs = Math.min(RETRY_FIRST_MS * 2 ** Math.min(failed++, 10), RETRY_MAX_MS);
      // Those that lost the server together must not come back together.
      await sleep(Math.random() * mostMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** As much of PollActivityTaskQueueResponse as is looked at. */
interface Polled {
  taskToken: Uint8Array;
  activityId: string;
  activityType: { name: string } | null;
  input: { payloads?: Payload[] | null } | null;
  attempt: number;
  currentAttemptScheduledTime: { seconds: number | { toNumber(): number }; nanos: number } | null;
}

async function poll(options: LightPollerOptions): Promise<Polled | null> {
  const { namespace, identity, taskQueue } = options;
  const polled = await call<Polled>(options, 'PollActivityTaskQueue', POLL_TIMEOUT_MS, {
    namespace,
    identity,
    taskQueue: { name: taskQueue },
  });
  return polled.taskToken.length === 0 ? null : polled;
}

async function work(options: LightPollerOptions, polled: Polled): Promise<void> {
  const { namespace, identity } = options;
  const whose = { namespace, identity, taskToken: polled.taskToken };
  const heartbeat = (): void => {
    const beat = call(options, 'RecordActivityTaskHeartbeat', CALL_TIMEOUT_MS, whose);
    beat.catch(() => undefined);
  };
  const { method, outcome } = await options.run({ ...readTask(polled), heartbeat }).then(
    (value) => ({
      method: 'RespondActivityTaskCompleted',
      outcome: { result: { payloads: [defaultPayloadConverter.toPayload(value)] } },
    }),
    (error: unknown) => ({
      method: 'RespondActivityTaskFailed',
      outcome: { failure: failures.errorToFailure(error, defaultPayloadConverter) },
    }),
  );
  for (let tries = 1; ; tries += 1) {
    try {
      await call(options, method, CALL_TIMEOUT_MS, { ...whose, ...outcome });
      return;
    } catch (error) {
      // It timed out meanwhile, or its workflow has ended: nobody waits for it. Unanswered, it comes again.
      const isOver = (error as grpc.ServiceError).code === NOT_FOUND;
      if (isOver || tries === ANSWER_TRIES || options.signal.aborted) return;
      await sleep(RETRY_FIRST_MS);
    }
  }
}

function readTask(polled: Polled): Omit<LightTask, 'heartbeat'> {
  const { input, activityType, activityId, attempt, currentAttemptScheduledTime: at } = polled;
  const seconds = at?.seconds ?? 0;
  return {
    type: activityType?.name ?? '',
    argument: fromPayloadsAtIndex(defaultPayloadConverter, 0, input?.payloads),
    activityId,
    attempt,
    scheduledAtMs:
      (typeof seconds === 'number' ? seconds : seconds.toNumber()) * 1000 + (at?.nanos ?? 0) / 1e6,
  };
}

function call<R>(
  { calls, signal }: LightPollerOptions,
  name: string,
  timeoutMs: number,
  request: object,
): Promise<R> {
  const { path, request: encode, answer: decode } = codecOf(name);
  return new Promise((resolve, reject) => {
    const deadline = new Date(Date.now() + timeoutMs);
    const isPoll = name === 'PollActivityTaskQueue';
    const under = calls.call(path, encode(request), deadline, (error, answer) => {
      signal.removeEventListener('abort', cancel);
      if (error) reject(error);
      else resolve(decode(answer ?? new Uint8Array()) as R);
    });
    const cancel = (): void => under.cancel();
    // What was done is told to the end.
    if (isPoll) signal.addEventListener('abort', cancel, { once: true });
  });
}
