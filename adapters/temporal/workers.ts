/** The Worker of workflows; its options are measured, see the notes on Temporal. */
import { Worker, type WorkerOptions } from '@temporalio/worker';
import { WORKFLOW_QUEUE } from '../../core/model/ids';
import type { TemporalLink } from './connection';

type Activities = NonNullable<WorkerOptions['activities']>;

/** `maxConcurrentActivityTaskPolls` is not read by the SDK (1.24): without this there are ten. */
export const pollers = (maximum: number) => ({ type: 'simple-maximum' as const, maximum });

/** Runs workflows, and the activities that they run locally. All controllers poll this one queue. */
export function createWorkflowWorker(
  link: TemporalLink,
  identity: string,
  bundlePath: string,
  localActivities: Activities,
): Promise<Worker> {
  return Worker.create({
    connection: link.connection,
    namespace: link.namespace,
    identity,
    shutdownGraceTime: '5s',
    // Without it, `run` never settles after a fatal error while an activity hangs.
    shutdownForceTime: '15s',
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
