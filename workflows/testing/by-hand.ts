/** A workflow of one activity, decided by hand: for what no workflow of ours would ask for. */
import type { WorkflowService } from '@temporalio/client';

export interface OneActivity {
  id: string;
  type: string;
  taskQueue: string;
  /** JSON where nothing else is said. */
  encoding?: string;
  input: string;
}

export interface Became {
  /** JSON; null: it has none. */
  result: string | null;
  failure: string | null;
}

/** CommandType of Temporal's API. */
const SCHEDULE_ACTIVITY = 1;

/** Resolves to what became of its only attempt. */
export async function runByHand(service: WorkflowService, activity: OneActivity): Promise<Became> {
  const { id, type, encoding = 'json/plain', input } = activity;
  const namespace = 'default';
  const taskQueue = { name: `by-hand/${id}` };
  const task = () => service.pollWorkflowTaskQueue({ namespace, taskQueue, identity: 'by hand' });
  await service.startWorkflowExecution({
    ...{ namespace, taskQueue, workflowId: id, requestId: id },
    workflowType: { name: 'byHand' },
  });
  const metadata = { encoding: Buffer.from(encoding) };
  const scheduleActivityTaskCommandAttributes = {
    activityId: '1',
    activityType: { name: type },
    taskQueue: { name: activity.taskQueue },
    input: { payloads: [{ metadata, data: Buffer.from(input) }] },
    // Its types ask for a Long; a number is written as well.
    startToCloseTimeout: { seconds: 20 as never },
    retryPolicy: { maximumAttempts: 1 },
  };
  const { taskToken } = await task();
  await service.respondWorkflowTaskCompleted({
    ...{ namespace, taskToken },
    commands: [{ commandType: SCHEDULE_ACTIVITY, scheduleActivityTaskCommandAttributes }],
  });
  const { history } = await task();
  const became: Became = { result: null, failure: null };
  for (const event of history?.events ?? []) {
    const { result } = event.activityTaskCompletedEventAttributes ?? {};
    const failed =
      event.activityTaskFailedEventAttributes ?? event.activityTaskTimedOutEventAttributes;
    if (result) became.result = Buffer.from(result.payloads?.[0]?.data ?? []).toString();
    if (failed) became.failure = failed.failure?.message ?? '';
  }
  return became;
}
