/** Configuration of the bfd process, all of it from the environment (docs/configuration.md). */
import { LOG_LEVELS, type LogLevel } from '../../adapters/telemetry/levels';
import { type Environment, oneOf } from './env';

export interface BfdConfig {
  /** Its own socket: the agent's lease, the CLI's looks. */
  socket: string;
  gobgpSocket: string;
  /** Last lease, sessions, held neighbours, for this boot: a tmpfs. */
  stateDirectory: string;
  metricsListen: string;
  logLevel: LogLevel;
}

export const bfdConfig = (env: Environment): BfdConfig => ({
  socket: env['AETHER_BFD_SOCKET'] ?? '/run/aether/bfd.sock',
  gobgpSocket: env['AETHER_GOBGP_SOCKET'] ?? '/run/aether/gobgp.sock',
  stateDirectory: env['AETHER_STATE_DIR'] ?? '/run/aether/bfd',
  metricsListen: env['AETHER_METRICS_LISTEN'] ?? '127.0.0.1:9702',
  logLevel: oneOf('AETHER_LOG_LEVEL', env['AETHER_LOG_LEVEL'] ?? 'info', LOG_LEVELS),
});
