/**
 * A Worker for activities alone, in some kilobytes: one long poll and one task at a time. The SDK's own Worker takes 0.3 to 0.8 MB and threads of its own, which is nothing
 * for a host and too much for thousands of simulated ones in one process.
 *
 * What it says is what the SDK says (temporal/api/workflowservice/v1): PollActivityTaskQueue,
 * RespondActivityTaskCompleted, RespondActivityTaskFailed, RecordActivityTaskHeartbeat. It hears of no
 * cancellation: whoever runs tasks that must be cancelled takes the SDK's.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection, type ConnectionOptions } from '@temporalio/client';
import {
  DefaultFailureConverter,
  defaultPayloadConverter,
  fromPayloadsAtIndex,
} from '@temporalio/common';

export interface LightTask {
  type: string;
  argument: unknown;
  activityId: string;
  attempt: number;
  workflow: { workflowId: string; runId: string; type: string };
  /** Epoch ms, of the present attempt. */
  scheduledAtMs: number;
  /** Tells the server that it goes on. */
  heartbeat(): void;
}

export interface LightPollerOptions {
  connection: Connection;
  namespace: string;
  identity: string;
  taskQueue: string;
  run(task: LightTask): Promise<unknown>;
  /** A poll has failed, or the last one has not: the next one is asked. */
  onHealth(up: boolean): void;
  /** Whoever aborts it closes the connection as well, which ends the poll under way. */
  signal: AbortSignal;
}

/** The server answers an empty poll after a minute; what takes longer is a dead connection. */
const POLL_TIMEOUT_MS = 75_000;
const CALL_TIMEOUT_MS = 10_000;
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 5_000;

const failures = new DefaultFailureConverter();

/** Connects when it is first used; a failed call is the caller's to repeat. */
export const lightConnection = (to: Pick<ConnectionOptions, 'address' | 'tls'>): Connection =>
  Connection.lazy({
    ...to,
    interceptors: [],
    channelArgs: { 'grpc.use_local_subchannel_pool': 1 },
  });

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

type Polled = Awaited<ReturnType<Connection['workflowService']['pollActivityTaskQueue']>>;

async function poll(options: LightPollerOptions): Promise<Polled | null> {
  const { connection, namespace, identity, taskQueue } = options;
  const polled = await within(options, POLL_TIMEOUT_MS, () =>
    connection.workflowService.pollActivityTaskQueue({
      namespace,
      identity,
      taskQueue: { name: taskQueue },
    }),
  );
  return polled.taskToken.length === 0 ? null : polled;
}

async function work(options: LightPollerOptions, polled: Polled): Promise<void> {
  const { connection, namespace, identity } = options;
  const { taskToken } = polled;
  const { workflowService } = connection;
  const heartbeat = (): void => {
    const beat = workflowService.recordActivityTaskHeartbeat({ namespace, identity, taskToken });
    beat.catch(() => undefined);
  };
  const outcome = await options.run({ ...readTask(polled), heartbeat }).then(
    (value) => ({ result: { payloads: [defaultPayloadConverter.toPayload(value)] } }),
    (error: unknown) => ({
      failure: failures.errorToFailure(error, defaultPayloadConverter),
    }),
  );
  // Unanswered, it comes again once its timeout has passed: so an answer that is lost is said again.
  for (let tries = 0; tries < 3; tries += 1) {
    try {
      await within(options, CALL_TIMEOUT_MS, async () => {
        const whose = { namespace, identity, taskToken };
        if ('failure' in outcome) {
          await workflowService.respondActivityTaskFailed({ ...whose, failure: outcome.failure });
        } else {
          await workflowService.respondActivityTaskCompleted({ ...whose, result: outcome.result });
        }
      });
      return;
    } catch (error) {
      // It timed out meanwhile, or its workflow has ended: nobody waits for it.
      if ((error as { code?: number }).code === NOT_FOUND) return;
      await sleep(RETRY_FIRST_MS);
    }
  }
}

const NOT_FOUND = 5;

const within = <T>(
  { connection }: LightPollerOptions,
  timeoutMs: number,
  call: () => Promise<T>,
): Promise<T> => connection.withDeadline(Date.now() + timeoutMs, call);

function readTask(polled: Polled): Omit<LightTask, 'heartbeat'> {
  const { input, activityType, activityId, workflowExecution, workflowType } = polled;
  const scheduled = polled.currentAttemptScheduledTime;
  return {
    type: activityType?.name ?? '',
    argument: fromPayloadsAtIndex(defaultPayloadConverter, 0, input?.payloads),
    activityId,
    attempt: polled.attempt,
    workflow: {
      workflowId: workflowExecution?.workflowId ?? '',
      runId: workflowExecution?.runId ?? '',
      type: workflowType?.name ?? '',
    },
    scheduledAtMs: Number(scheduled?.seconds ?? 0) * 1000 + (scheduled?.nanos ?? 0) / 1e6,
  };
}
