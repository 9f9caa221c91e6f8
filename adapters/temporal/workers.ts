/** The two kinds of Worker in a controller; their options are measured, see the notes on Temporal. */
import { Worker, type WorkerOptions } from '@temporalio/worker';
import { shardQueue, WORKFLOW_QUEUE } from '../../core/model/ids';
import type { TemporalLink } from './connection';

type Activities = NonNullable<WorkerOptions['activities']>;

/** `maxConcurrentActivityTaskPolls` is not read by the SDK (1.24): without this there are ten. */
export const pollers = (maximum: number) => ({ type: 'simple-maximum' as const, maximum });

const shared = (link: TemporalLink, identity: string) => ({
  connection: link.connection,
  namespace: link.namespace,
  identity,
  shutdownGraceTime: '5s' as const,
  // Without it, `run` never settles after a fatal error while an activity hangs.
  shutdownForceTime: '15s' as const,
});

/** Runs workflows, and the activities that they run locally. All controllers poll this one queue. */
export function createWorkflowWorker(
  link: TemporalLink,
  identity: string,
  bundlePath: string,
  localActivities: Activities,
): Promise<Worker> {
  return Worker.create({
    ...shared(link, identity),
    taskQueue: WORKFLOW_QUEUE,
    workflowBundle: { codePath: bundlePath },
    activities: localActivities,
    enableNonLocalActivities: false,
    // A workflow cached by a dead controller is picked up by a survivor after so long.
    stickyQueueScheduleToStartTimeout: '1s',
    // By hand: the default grows with the machine's memory until the process is killed.
    maxCachedWorkflows: 500,
  });
}

/** Activities of one shard. Hundreds fit into a process: one poller each, well below 1 MB. */
export function createShardWorker(
  link: TemporalLink,
  identity: string,
  shard: number,
  activities: Activities,
): Promise<Worker> {
  return Worker.create({
    ...shared(link, identity),
    taskQueue: shardQueue(shard),
    activities,
    activityTaskPollerBehavior: pollers(1),
  });
}
