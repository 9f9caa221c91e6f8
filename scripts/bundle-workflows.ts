/**
 * Writes `dist/workflow-bundle.js`: every workflow in one file, as the isolate loads it.
 *
 * Bundled once here, not in each worker at start (2 s and 200 MB each time). It has to be made by
 * the SDK version that runs it, so set-up makes it anew whenever the lock file changes.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleWorkflowCode } from '@temporalio/worker';

const dist = join(__dirname, '..');

async function main(): Promise<void> {
  const { code } = await bundleWorkflowCode({ workflowsPath: join(dist, 'workflows/index.js') });
  const target = join(dist, 'workflow-bundle.js');
  // Renamed into place: a worker that starts meanwhile reads the old bundle or the new, never half.
  writeFileSync(`${target}.new`, code);
  renameSync(`${target}.new`, target);
  console.log(`${target}: ${(code.length / 1024).toFixed(0)} KiB`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
