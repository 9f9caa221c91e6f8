/** What became of the activities of a workflow, as its history and the server tell it. */
import type { WorkflowClient } from '@temporalio/client';

export interface Attempt {
  workflowId: string;
  activity: string;
  scheduledAtMs: number;
  /** Of the last attempt. */
  startedAtMs: number | null;
  /** Null: it has not. */
  completed: number | null;
  attempt: number;
  /** Who ran it last. */
  identity: string;
  /** Type of the failure after which it was tried again; null: none. */
  failure: string | null;
}

type Stamp = { seconds?: { toNumber(): number } | number | null; nanos?: number | null } | null;

const ms = (at: Stamp | undefined): number | null =>
  at ? Number(at.seconds) * 1000 + Math.round((at.nanos ?? 0) / 1e6) : null;

interface Failure {
  message?: string | null;
  applicationFailureInfo?: { type?: string | null } | null;
}

const typeOf = (failure: Failure | null | undefined): string | null =>
  failure ? (failure.applicationFailureInfo?.type ?? failure.message ?? '?') : null;

/** Remote activities alone: those that are run locally have no events of this kind. */
export async function attemptsOf(client: WorkflowClient, workflowId: string): Promise<Attempt[]> {
  const handle = client.getHandle(workflowId);
  const [{ events }, { raw }] = await Promise.all([handle.fetchHistory(), handle.describe()]);
  const found = new Map<string, Attempt>();
  const ids = new Map<string, Attempt>();
  const of = (scheduledEventId: unknown): Attempt => found.get(String(scheduledEventId))!;
  for (const event of events ?? []) {
    const scheduled = event.activityTaskScheduledEventAttributes;
    const started = event.activityTaskStartedEventAttributes;
    const completed = event.activityTaskCompletedEventAttributes;
    const timedOut = event.activityTaskTimedOutEventAttributes;
    if (scheduled) {
      const attempt: Attempt = {
        workflowId,
        activity: `${scheduled.activityType?.name} of ${scheduled.taskQueue?.name}`,
        scheduledAtMs: ms(event.eventTime) ?? 0,
        startedAtMs: null,
        completed: null,
        attempt: 1,
        identity: '',
        failure: null,
      };
      found.set(String(event.eventId), attempt);
      ids.set(scheduled.activityId ?? '', attempt);
    }
    if (started) {
      Object.assign(of(started.scheduledEventId), {
        startedAtMs: ms(event.eventTime),
        attempt: started.attempt,
        identity: started.identity,
        failure: typeOf(started.lastFailure),
      });
    }
    if (completed) of(completed.scheduledEventId).completed = ms(event.eventTime);
    if (timedOut) of(timedOut.scheduledEventId).failure = `timed out: ${typeOf(timedOut.failure)}`;
  }
  // One that is under way has no event of its start yet.
  for (const pending of raw.pendingActivities ?? []) {
    Object.assign(ids.get(pending.activityId ?? '') ?? {}, {
      startedAtMs: ms(pending.lastStartedTime),
      attempt: pending.attempt,
      identity: pending.lastWorkerIdentity,
      failure: typeOf(pending.lastFailure) ?? `pending, state ${pending.state}`,
    });
  }
  return [...found.values()];
}

/** A line for whoever reads of a failure. */
export const told = (of: Attempt): string => {
  const after = (at: number | null): string =>
    at === null ? 'never' : `${at - of.scheduledAtMs} ms`;
  return (
    `${of.workflowId} ${of.activity}, scheduled at ${new Date(of.scheduledAtMs).toISOString()}: ` +
    `attempt ${of.attempt} by ${of.identity} began after ${after(of.startedAtMs)}, ` +
    `done after ${after(of.completed)}; tried again for ${of.failure}`
  );
};
