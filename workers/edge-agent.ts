/** Entry point of an edge agent: `node dist/workers/edge-agent.js`, configured by its environment. */
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { openHost } from '../adapters/native/host';
import { edgeConfig } from './config/edge';
import { ConfigError } from './config/env';
import { blobsOf, startGuard } from './edge/guard';
import type { TemporalWorker } from './edge/temporal';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

async function main(): Promise<void> {
  const config = edgeConfig(process.env);
  // From the first moment: one that is told to stop while it starts has stopped, and did not crash.
  const told = Promise.race(SIGNALS.map((each) => once(process, each).then(() => each)));
  const blobs = blobsOf(config);
  const guard = await startGuard(config, await openHost(blobs, config.stateDirectory), blobs);
  let worker: TemporalWorker | null = null;
  let isTold = false;
  void told.then(async (signal) => {
    isTold = true;
    guard.log.info({ signal }, 'stopping');
    await worker?.stop();
    await guard.stop();
    process.exit(0);
  });
  // Loading Temporal's SDK takes longer than looking at the host: the host comes first.
  const sdk = await import('./edge/temporal');
  // What came meanwhile is heard in the next turn of the loop.
  await setImmediate();
  if (isTold) return;
  sdk.installRuntime(guard.log);
  worker = new sdk.TemporalWorker(config, guard);
  worker.start();
}

main().catch((error: unknown) => {
  // What is wrong with the configuration is for people; anything else is a defect.
  console.error(error instanceof ConfigError ? error.message : error);
  process.exit(1);
});
