/**
 * A workflow Worker as a process of its own, for tests that kill it: `node workflow-worker.js ADDRESS [PLACEMENT]`.
 * PLACEMENT: JSON of what the one activity answers that workflows run locally.
 */
import { Worker } from '@temporalio/worker';
import { connectTemporal } from '../../adapters/temporal/connection';
import { WORKFLOW_QUEUE } from '../../core/model/ids';
import type { Placement } from '../../core/model/routing-messages';
import { bundle } from './bundle';
import { quiet } from './house';

async function main(address: string, placement: string): Promise<void> {
  quiet();
  const workflowBundle = await bundle();
  const { connection, namespace } = await connectTemporal(
    { connectionOptions: { address } },
    `killed-${process.pid}`,
  );
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue: WORKFLOW_QUEUE,
    workflowBundle,
    activities: { placement: async () => JSON.parse(placement) as Placement },
    enableNonLocalActivities: false,
    stickyQueueScheduleToStartTimeout: '1s',
    maxCachedWorkflows: 50,
  });
  const running = worker.run();
  console.log('ready');
  await running;
}

main(process.argv[2] ?? '', process.argv[3] ?? 'null').catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
