/** Configuration of an edge agent, all of it from the environment (docs/configuration.md). */
import type { ClientConnectConfig } from '@temporalio/envconfig';
import { LOG_LEVELS, type LogLevel } from '../../adapters/telemetry/logger';
import { temporalConfig } from '../../adapters/temporal/config';
import { readSource } from '../../core/filter/override';
import { DNS_LABEL } from '../../core/model/ids';
import { commaList, ConfigError, type Environment, oneOf, required } from './env';

export interface EdgeConfig {
  node: string;
  /** `host:port` each, tried in turn. */
  controllers: string[];
  /** Paths of PEM files; read at each connection, so the agent guards its host without them. */
  tls: { ca: string; cert: string; key: string };
  stateDirectory: string;
  socket: string;
  /** Canonical prefixes that no filter of this host may ever block. */
  failsafe: string[];
  metricsListen: string;
  logLevel: LogLevel;
  temporal: ClientConnectConfig;
}

const PEM = 'the path of a PEM file; make one with: aether ca issue';

export function edgeConfig(env: Environment): EdgeConfig {
  const node = required(env, 'AETHER_NODE', 'the name of this node, as in its resource');
  if (!DNS_LABEL.test(node)) {
    throw new ConfigError(`AETHER_NODE="${node}" is no name of a node; use one such as fra-1`);
  }
  return {
    node,
    controllers: commaList(required(env, 'AETHER_CONTROLLERS', 'host:port, by commas')),
    tls: {
      ca: required(env, 'AETHER_TLS_CA', PEM),
      cert: required(env, 'AETHER_TLS_CERT', PEM),
      key: required(env, 'AETHER_TLS_KEY', PEM),
    },
    stateDirectory: env['AETHER_STATE_DIR'] ?? '/var/lib/aether/edge',
    socket: env['AETHER_EDGE_SOCKET'] ?? '/run/aether/edge.sock',
    failsafe: prefixes('AETHER_FAILSAFE', env['AETHER_FAILSAFE'] ?? ''),
    metricsListen: env['AETHER_METRICS_LISTEN'] ?? '127.0.0.1:9701',
    logLevel: oneOf('AETHER_LOG_LEVEL', env['AETHER_LOG_LEVEL'] ?? 'info', LOG_LEVELS),
    temporal: temporalConfig(env),
  };
}

/** Addresses and prefixes, by commas. */
const prefixes = (name: string, text: string): string[] =>
  commaList(text).map((part) => {
    const read = readSource(part);
    if (read.ok) return read.prefix;
    throw new ConfigError(`${name}: ${read.reason}`);
  });
