/**
 * A controller's workflow worker that comes into a workflow task and never out of it: says `inside` once the task
 * waits for it. Argument: address of Temporal. Dies with whoever started it.
 */
import { join } from 'node:path';
import { connectTemporal } from '../../adapters/temporal/connection';
import { createWorkflowWorker } from '../../adapters/temporal/workers';
import { ROOT } from '../../lab/tools';
import { quiet } from '../../workflows/testing/house';

export const BUNDLE = join(ROOT, 'dist/workflow-bundle.js');

async function main(address: string): Promise<void> {
  quiet();
  const link = await connectTemporal({ connectionOptions: { address } }, `victim-${process.pid}`);
  const worker = await createWorkflowWorker(link, `victim-${process.pid}`, BUNDLE, {
    shardsWithNodes: () => {
      process.send?.('inside');
      return new Promise(() => undefined);
    },
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.('ready');
  await worker.run();
}

if (require.main === module) {
  main(process.argv[2] ?? '').catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
}
