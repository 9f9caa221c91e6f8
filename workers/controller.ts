/** Entry point of a controller: `node dist/workers/controller.js`, configured by its environment. */
import { setFlagsFromString } from 'node:v8';
import { DefaultLogger, type LogLevel, Runtime } from '@temporalio/worker';
import { createLogger, type Logger } from '../adapters/telemetry/logger';
import { controllerConfig } from './config/controller';
import { ConfigError } from './config/env';
import { startController } from './controller/controller';

const LEVELS: Partial<Record<LogLevel, 'debug' | 'info' | 'warn' | 'error'>> = {
  DEBUG: 'debug',
  INFO: 'debug',
  WARN: 'warn',
  ERROR: 'error',
};

/** Temporal's own log lines, in ours. */
function installRuntime(log: Logger): void {
  const logger = new DefaultLogger('INFO', ({ level, message, meta }) =>
    log[LEVELS[level] ?? 'debug']({ from: 'temporal', ...meta }, message),
  );
  // Signals are handled here: the SDK's own handlers would stop the Workers first.
  Runtime.install({ logger, shutdownSignals: [] });
}

/**
 * How much garbage V8 lets there be, in percent of what lives. Edges' polls live for a minute, long enough to be taken for
 * lasting: by V8's own measure (up to three times what lives) they make up a fifth of a controller. And what died young is
 * collected by the loop alone: to wake four threads for it took a fifth of a controller at rest (docs/notes/scale.md).
 */
const V8_FLAGS = ['--heap-growing-percent=50', '--no-parallel-scavenge'];

async function main(): Promise<void> {
  for (const flag of V8_FLAGS) setFlagsFromString(flag);
  const config = controllerConfig(process.env);
  const log = createLogger(config.logLevel, { controller: config.id });
  installRuntime(log);
  const controller = await startController(config, log);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'stopping');
      controller.stop().then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ err: error }, 'could not stop in order; leases run out by themselves');
          process.exit(1);
        },
      );
    });
  }
}

main().catch((error: unknown) => {
  // What is wrong with the configuration is for people; anything else is a defect.
  console.error(error instanceof ConfigError ? error.message : error);
  process.exit(1);
});
