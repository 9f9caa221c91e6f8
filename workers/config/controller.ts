/** Configuration of a controller, all of it from the environment (docs/configuration.md). */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { PemFiles } from '../../adapters/grpc/tls';
import { LOG_LEVELS, type LogLevel } from '../../adapters/telemetry/levels';
import { TemporalConfig } from '../../adapters/temporal/config';
import { parseDuration } from '../../core/model/duration';
import { DEFAULT_LIMITS, type GovernorLimits } from '../../core/model/governor';
import { DNS_LABEL } from '../../core/model/ids';
import { commaList, ConfigError, type Environment, oneOf, required } from './env';

export interface ControllerConfig {
  id: string;
  etcd: { endpoints: string[]; tls: PemFiles | null };
  /** `advertise`: where edges reach it, as they are told. */
  edges: { listen: string; advertise: string; tls: PemFiles };
  adminSocket: string;
  /** `host:port` of the admin API over TLS, for operators elsewhere and other controllers; null: none. */
  adminListen: string | null;
  /** Where the other controllers reach that; null with it. */
  adminAdvertise: string | null;
  /** Null: this controller takes no part in the gossip, and others learn of its death by its lease. */
  gossip: GossipConfig | null;
  /** Its share of the shards, beside the others'. */
  weight: number;
  metricsListen: string;
  logLevel: LogLevel;
  auditEveryMs: number;
  temporal: TemporalConfig;
  /** Where people look at workflows; only ever printed. */
  temporalUiUrl: string | null;
  workflowBundle: string;
  governor: GovernorLimits;
  /** gobgpds that are asked what routers have taken. */
  observers: { name: string; address: string }[];
}

export const GOSSIP_PROFILES = ['lan', 'fast'] as const;

export interface GossipConfig {
  /** `ip:port`, UDP and TCP; others reach us there. */
  listen: string;
  profile: (typeof GOSSIP_PROFILES)[number];
  /** Path of a file with keys in base64, a line each, the first one to write with; null: in the clear. */
  keys: string | null;
  /** Of the cluster: packets with another label are dropped. */
  label: string;
}

export function controllerConfig(env: Environment): ControllerConfig {
  const id = required(env, 'AETHER_CONTROLLER_ID', 'a name such as c1');
  if (!DNS_LABEL.test(id)) {
    throw new ConfigError(`AETHER_CONTROLLER_ID="${id}" is no name; use one such as c1`);
  }
  const endpoints = commaList(
    required(env, 'AETHER_ETCD_ENDPOINTS', 'http(s)://host:port, by commas'),
  );
  const secure = endpoints.some((url) => url.startsWith('https:'));
  return {
    id,
    etcd: { endpoints, tls: secure ? pemSet(env, 'AETHER_ETCD') : null },
    edges: { ...edgeAddresses(env), tls: pemSet(env, 'AETHER_TLS') },
    adminSocket: env['AETHER_ADMIN_SOCKET'] ?? '/run/aether/admin.sock',
    ...adminAddresses(env),
    gossip: gossipOf(env),
    weight: weight(env['AETHER_WEIGHT'] ?? '1'),
    metricsListen: env['AETHER_METRICS_LISTEN'] ?? '127.0.0.1:9700',
    logLevel: oneOf('AETHER_LOG_LEVEL', env['AETHER_LOG_LEVEL'] ?? 'info', LOG_LEVELS),
    auditEveryMs: duration(env, 'AETHER_AUDIT_EVERY', '15m'),
    temporal: new TemporalConfig(env),
    temporalUiUrl: env['AETHER_TEMPORAL_UI_URL'] ?? null,
    workflowBundle: join(__dirname, '../../workflow-bundle.js'),
    governor: governor(env),
    observers: commaList(env['AETHER_OBSERVERS'] ?? '').map(observer),
  };
}

/**
 * Where it listens, and what edges are told. Where that is all addresses, it is the
 * name of this host.
 */
export function edgeAddresses(env: Environment): { listen: string; advertise: string } {
  const listen = env['AETHER_EDGE_LISTEN'] ?? '0.0.0.0:7700';
  return { listen, advertise: env['AETHER_EDGE_ADVERTISE'] ?? reachedAt(listen) };
}

/** As `edgeAddresses`, for the other controllers; both null where it does not listen. */
export function adminAddresses(env: Environment) {
  const adminListen = env['AETHER_ADMIN_LISTEN'];
  if (adminListen === undefined) return { adminListen: null, adminAdvertise: null };
  return { adminListen, adminAdvertise: env['AETHER_ADMIN_ADVERTISE'] ?? reachedAt(adminListen) };
}

function reachedAt(listen: string): string {
  const port = /^(?:0\.0\.0\.0|\[::\]):(\d+)$/.exec(listen)?.[1];
  return port === undefined ? listen : `${hostname()}:${port}`;
}

export function gossipOf(env: Environment): GossipConfig | null {
  const listen = env['AETHER_GOSSIP_LISTEN'];
  if (listen === undefined) return null;
  if (/:0+$/.test(listen)) {
    throw new ConfigError(
      `AETHER_GOSSIP_LISTEN="${listen}" names no port where the others find it; use one such as 192.0.2.7:7701`,
    );
  }
  return {
    listen,
    profile: oneOf(
      'AETHER_GOSSIP_PROFILE',
      env['AETHER_GOSSIP_PROFILE'] ?? 'fast',
      GOSSIP_PROFILES,
    ),
    keys: env['AETHER_GOSSIP_KEYS'] ?? null,
    label: env['AETHER_GOSSIP_LABEL'] ?? 'aether',
  };
}

function weight(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1 && value <= 1000) return value;
  throw new ConfigError(`AETHER_WEIGHT="${text}" is no whole number of 1 to 1000`);
}

function observer(text: string): ControllerConfig['observers'][number] {
  const [, name, address] = /^([^=\s]+)=(\S+:\d{1,5})$/.exec(text) ?? [];
  if (name !== undefined && address !== undefined) return { name, address };
  throw new ConfigError(
    `AETHER_OBSERVERS holds "${text}"; write each as name=host:port, by commas`,
  );
}

/** `10/1m`: so many withdrawals by command within so long. */
function governor(env: Environment): GovernorLimits {
  const text = env['AETHER_GOVERNOR'];
  if (text === undefined) return DEFAULT_LIMITS;
  const [, most, window] = /^(\d{1,6})\/(.+)$/.exec(text) ?? [];
  const windowMs = parseDuration(window ?? '');
  if (windowMs !== null && windowMs >= 1_000 && Number(most) > 0) {
    return { most: Number(most), windowMs };
  }
  throw new ConfigError(`AETHER_GOVERNOR="${text}" is no limit; use one such as 10/1m`);
}

function duration(env: Environment, name: string, fallback: string): number {
  const text = env[name] ?? fallback;
  const ms = parseDuration(text);
  if (ms === null || ms < 1_000) {
    throw new ConfigError(`${name}="${text}" is no duration of at least 1s; use one such as 15m`);
  }
  return ms;
}

function pemSet(env: Environment, prefix: string): PemFiles {
  const path = (name: string): string =>
    required(env, name, 'the path of a PEM file; make one with: aether ca issue');
  const paths = {
    ca: path(`${prefix}_CA`),
    cert: path(`${prefix}_CERT`),
    key: path(`${prefix}_KEY`),
  };
  try {
    return PemFiles.open(paths);
  } catch (error) {
    throw new ConfigError(
      `${prefix}_CA, _CERT and _KEY can't be used: ${(error as Error).message}`,
    );
  }
}
