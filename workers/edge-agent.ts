/** Entry point of an edge agent: `node dist/workers/edge-agent.js`, configured by its environment. */
import { openHost } from '../adapters/native/host';
import { edgeConfig } from './config/edge';
import { ConfigError } from './config/env';
import { blobsOf, startGuard } from './edge/guard';

async function main(): Promise<void> {
  const config = edgeConfig(process.env);
  const blobs = blobsOf(config);
  const guard = await startGuard(config, await openHost(blobs, config.stateDirectory), blobs);
  // Loading Temporal's SDK takes longer than looking at the host: the host comes first.
  const { TemporalWorker } = await import('./edge/temporal');
  const worker = new TemporalWorker(config.node, config.temporal, guard);
  worker.start();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      guard.log.info({ signal }, 'stopping');
      void worker
        .stop()
        .then(() => guard.stop())
        .then(() => process.exit(0));
    });
  }
}

main().catch((error: unknown) => {
  // What is wrong with the configuration is for people; anything else is a defect.
  console.error(error instanceof ConfigError ? error.message : error);
  process.exit(1);
});
