/** Entry point of simulated edges: `node dist/workers/sim.js`, configured by its environment. */
import { once } from 'node:events';
import { serveSim } from '../adapters/sim/control';
import { createLogger } from '../adapters/telemetry/logger';
import { serveMetrics } from '../adapters/telemetry/metrics';
import { ConfigError } from './config/env';
import { simConfig } from './config/sim';
import { Fleet } from './sim/fleet';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

async function main(): Promise<void> {
  const config = simConfig(process.env);
  const log = createLogger(config.logLevel, { edges: config.nodes.length });
  const fleet = new Fleet(config, log);
  await serveMetrics(config.metricsListen, fleet.metrics.registry);
  await serveSim(config.socket, fleet);
  const told = Promise.race(SIGNALS.map((each) => once(process, each)));
  await Promise.race([fleet.start(), told]);
  await told;
  fleet.stop();
  process.exit(0);
}

main().catch((error: unknown) => {
  console.error(error instanceof ConfigError ? error.message : error);
  process.exit(1);
});
