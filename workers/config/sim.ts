/** Configuration of a process full of simulated edges, all of it from the environment. */
import { readFileSync } from 'node:fs';
import { LOG_LEVELS, type LogLevel } from '../../adapters/telemetry/levels';
import { DNS_LABEL } from '../../core/model/ids';
import { commaList, ConfigError, type Environment, oneOf, required } from './env';

export interface SimConfig {
  /** Names of the nodes whose edges are simulated here. */
  nodes: string[];
  /** As `aether ca` makes it: `ca.pem`, `edge/<node>.pem`, `edge/<node>.key`. */
  certificates: string;
  controllers: string[];
  /** Lists in chunks lie here, a directory for each edge; everything else is in memory. */
  stateDirectory: string;
  socket: string;
  metricsListen: string;
  logLevel: LogLevel;
}

export function simConfig(env: Environment): SimConfig {
  return {
    nodes: names(required(env, 'AETHER_SIM_NODES', 'the path of a file with one name a line')),
    certificates: required(
      env,
      'AETHER_SIM_CERTIFICATES',
      'the directory of a certificate authority',
    ),
    controllers: commaList(required(env, 'AETHER_CONTROLLERS', 'host:port, by commas')),
    stateDirectory: required(env, 'AETHER_STATE_DIR', 'a directory'),
    socket: env['AETHER_SIM_SOCKET'] ?? '/run/aether/sim.sock',
    metricsListen: env['AETHER_METRICS_LISTEN'] ?? '127.0.0.1:9701',
    logLevel: oneOf('AETHER_LOG_LEVEL', env['AETHER_LOG_LEVEL'] ?? 'warn', LOG_LEVELS),
  };
}

function names(path: string): string[] {
  const found = readFileSync(path, 'utf8')
    .split('\n')
    .filter((name) => name !== '');
  const wrong = found.find((name) => !DNS_LABEL.test(name));
  if (wrong === undefined) return found;
  throw new ConfigError(`${path}: "${wrong}" is no name of a node; use one such as sim-1`);
}
