/** Configuration of an edge agent, all of it from the environment (docs/configuration.md). */
import { LOG_LEVELS, type LogLevel } from '../../adapters/telemetry/levels';
import { readSource } from '../../core/filter/override';
import { parseDuration } from '../../core/model/duration';
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
  /** Of the processes beside it; needed only where a spec asks for BGP or BFD. */
  bfdSocket: string;
  gobgpSocket: string;
  /** Where a neighbour's `passwordRef` names a file. */
  secretsDirectory: string;
  /** What is announced goes on for so long without a proof, and without an agent. */
  leaseGraceMs: number;
  /** Canonical prefixes that no filter of this host may ever block. */
  failsafe: string[];
  metricsListen: string;
  logLevel: LogLevel;
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
    bfdSocket: env['AETHER_BFD_SOCKET'] ?? '/run/aether/bfd.sock',
    gobgpSocket: env['AETHER_GOBGP_SOCKET'] ?? '/run/aether/gobgp.sock',
    secretsDirectory: env['AETHER_SECRETS_DIR'] ?? '/etc/aether/secrets',
    leaseGraceMs: grace(env['AETHER_LEASE_GRACE'] ?? '30s'),
    failsafe: prefixes('AETHER_FAILSAFE', env['AETHER_FAILSAFE'] ?? ''),
    metricsListen: env['AETHER_METRICS_LISTEN'] ?? '127.0.0.1:9701',
    logLevel: oneOf('AETHER_LOG_LEVEL', env['AETHER_LOG_LEVEL'] ?? 'info', LOG_LEVELS),
  };
}

/** Below a few renewals a busy host would lose its announcements by itself. */
const GRACE_MIN_MS = 1_000;

function grace(text: string): number {
  const graceMs = parseDuration(text);
  if (graceMs !== null && graceMs >= GRACE_MIN_MS) return graceMs;
  throw new ConfigError(`AETHER_LEASE_GRACE="${text}" is no duration of at least 1s`);
}

/** Addresses and prefixes, by commas. */
const prefixes = (name: string, text: string): string[] =>
  commaList(text).map((part) => {
    const read = readSource(part);
    if (read.ok) return read.prefix;
    throw new ConfigError(`${name}: ${read.reason}`);
  });
