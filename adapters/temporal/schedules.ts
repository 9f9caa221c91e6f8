/** The Schedules of a cluster. Each of these may be repeated. */
import {
  type Client,
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  type ScheduleOptions,
} from '@temporalio/client';
import { FEED_SCHEDULES, feedSchedule, WORKFLOW_QUEUE, workflowId } from '../../core/model/ids';
import { WORKFLOW_TASK_TIMEOUT } from './client';

type Definition = Omit<ScheduleOptions, 'scheduleId'>;

const RPC_TIMEOUT_MS = 5_000;

const within = <T>(client: Client, call: () => Promise<T>): Promise<T> =>
  client.withDeadline(Date.now() + RPC_TIMEOUT_MS, call);

/**
 * What an interval starts. A run that is still under way is not doubled, and runs missed while
 * Temporal was down are not made up for: one sees all there is to see.
 */
export function everyInterval(
  everyMs: number,
  action: { workflowType: string; workflowId: string; staticSummary: string; args: unknown[] },
): Definition {
  return {
    spec: { intervals: [{ every: everyMs }] },
    action: {
      type: 'startWorkflow',
      taskQueue: WORKFLOW_QUEUE,
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
      ...action,
    },
    policies: { overlap: 'SKIP', catchupWindow: '1m' },
  };
}

/** Makes it, or brings the one that is there to this definition; whether it is paused stays. */
export async function ensureSchedule(
  client: Client,
  scheduleId: string,
  definition: Definition,
): Promise<void> {
  try {
    await within(client, () => client.schedule.create({ ...definition, scheduleId }));
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    const schedule = client.schedule.getHandle(scheduleId);
    await within(client, () => schedule.update(({ state }) => ({ ...definition, state })));
  }
}

/** Loads the feed of a blocklist every `everyMs`; `now`: also at once. */
export async function ensureFeedSchedule(
  client: Client,
  blocklist: string,
  everyMs: number,
  now: boolean,
): Promise<void> {
  const definition = everyInterval(everyMs, {
    workflowType: 'refreshBlocklist',
    workflowId: workflowId.refreshBlocklist(blocklist),
    staticSummary: `Load the feed of blocklist ${blocklist}`,
    args: [{ blocklist }],
  });
  await ensureSchedule(client, feedSchedule(blocklist), definition);
  if (!now) return;
  const schedule = client.schedule.getHandle(feedSchedule(blocklist));
  await within(client, () => schedule.trigger('SKIP'));
}

/** That there is none is a success. */
export async function deleteFeedSchedule(client: Client, blocklist: string): Promise<void> {
  try {
    await within(client, () => client.schedule.getHandle(feedSchedule(blocklist)).delete());
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  }
}

/** Names of the blocklists that have one. */
export async function feedSchedules(client: Client): Promise<string[]> {
  const names: string[] = [];
  await within(client, async () => {
    for await (const { scheduleId } of client.schedule.list()) {
      if (scheduleId.startsWith(FEED_SCHEDULES))
        names.push(scheduleId.slice(FEED_SCHEDULES.length));
    }
  });
  return names;
}
