/** One attempt of an activity: what it is told of itself, its heartbeats, and how it hears that it is cancelled. */
import { asyncLocalStorage, Context, type Info } from '@temporalio/activity';
import {
  CancelledFailure,
  defaultPayloadConverter,
  fromPayloadsAtIndex,
  type Logger,
  noopMetricMeter,
  type Payload,
} from '@temporalio/common';
import { optionalTsToMs, tsToMs } from '@temporalio/common/lib/time';

type Time = Parameters<typeof tsToMs>[0];

/** As much of PollActivityTaskQueueResponse as is looked at. */
export interface Polled {
  taskToken: Uint8Array;
  workflowNamespace: string;
  workflowType: { name: string } | null;
  workflowExecution: { workflowId: string; runId: string } | null;
  activityType: { name: string } | null;
  activityId: string;
  input: { payloads?: Payload[] | null } | null;
  attempt: number;
  scheduledTime: Time;
  currentAttemptScheduledTime: Time;
  scheduleToCloseTimeout: Time;
  startToCloseTimeout: Time;
  heartbeatTimeout: Time;
}

export interface TaskCalls {
  /** Resolves to whether the server wants it cancelled; it is, too, if it does not know it any more. */
  beat(): Promise<boolean>;
}

/** Of its timeout: the next one is on its way before the server gives up. */
const BEAT_SHARE = 0.6;
/** As the SDK's, for one without a timeout: to hear of a cancellation. */
const BEAT_MS = 30_000;

const silent: Logger = {
  log: () => undefined,
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export class ActivityTask {
  readonly info: Info;
  readonly argument: unknown;
  /** By the server, and not by us because we end. */
  cancelledByServer = false;
  readonly #calls: TaskCalls;
  readonly #context: Context;
  readonly #cancelling = new AbortController();
  #nextBeatAtMs = 0;

  constructor(polled: Polled, namespace: string, taskQueue: string, calls: TaskCalls) {
    this.#calls = calls;
    this.info = infoOf(polled, namespace, taskQueue);
    this.argument = fromPayloadsAtIndex(defaultPayloadConverter, 0, polled.input?.payloads);
    const { signal } = this.#cancelling;
    const cancelled = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    // Nobody need wait for it.
    cancelled.catch(() => undefined);
    const beat = (): void => void this.#beat();
    this.#context = new Context(
      this.info,
      cancelled,
      signal,
      beat,
      undefined,
      silent,
      noopMetricMeter,
      {},
    );
  }

  run<T>(activity: (argument: never) => Promise<T>): Promise<T> {
    return asyncLocalStorage.run(this.#context, async () => activity(this.argument as never));
  }

  cancel(why: string): void {
    if (!this.#cancelling.signal.aborted) this.#cancelling.abort(new CancelledFailure(why));
  }

  async #beat(): Promise<void> {
    const nowMs = performance.now();
    if (nowMs < this.#nextBeatAtMs) return;
    const { heartbeatTimeoutMs } = this.info;
    this.#nextBeatAtMs = nowMs + (heartbeatTimeoutMs ? heartbeatTimeoutMs * BEAT_SHARE : BEAT_MS);
    const wanted = await this.#calls.beat().catch(() => {
      // It was not heard: the activity's next one counts, or a server that was away for a moment gives it up.
      this.#nextBeatAtMs = 0;
      return false;
    });
    if (!wanted) return;
    this.cancelledByServer = true;
    this.cancel('CANCELLED');
  }
}

function infoOf(polled: Polled, namespace: string, taskQueue: string): Info {
  const { taskToken, workflowExecution, activityId, attempt } = polled;
  const heartbeatTimeoutMs = optionalTsToMs(polled.heartbeatTimeout);
  return {
    taskToken,
    base64TaskToken: Buffer.from(taskToken).toString('base64'),
    activityId,
    activityType: polled.activityType?.name ?? '',
    activityNamespace: namespace,
    namespace,
    taskQueue,
    attempt,
    isLocal: false,
    inWorkflow: true,
    workflowNamespace: polled.workflowNamespace,
    workflowType: polled.workflowType?.name ?? '',
    ...(workflowExecution ? { workflowExecution } : {}),
    scheduledTimestampMs: tsToMs(polled.scheduledTime),
    currentAttemptScheduledTimestampMs: tsToMs(polled.currentAttemptScheduledTime),
    scheduleToCloseTimeoutMs: optionalTsToMs(polled.scheduleToCloseTimeout) ?? 0,
    startToCloseTimeoutMs: optionalTsToMs(polled.startToCloseTimeout) ?? 0,
    ...(heartbeatTimeoutMs ? { heartbeatTimeoutMs } : {}),
    heartbeatDetails: undefined,
  };
}
