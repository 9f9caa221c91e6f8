/** Configuration of a controller, all of it from the environment (docs/configuration.md). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClientConnectConfig } from '@temporalio/envconfig';
import { LOG_LEVELS, type LogLevel } from '../../adapters/telemetry/levels';
import { temporalConfig } from '../../adapters/temporal/config';
import { parseDuration } from '../../core/model/duration';
import { DEFAULT_LIMITS, type GovernorLimits } from '../../core/model/governor';
import { DNS_LABEL } from '../../core/model/ids';
import { commaList, ConfigError, type Environment, oneOf, required } from './env';

export interface ControllerConfig {
  id: string;
  etcd: { endpoints: string[]; tls: PemSet | null };
  edges: { listen: string; tls: PemSet };
  adminSocket: string;
  metricsListen: string;
  logLevel: LogLevel;
  auditEveryMs: number;
  temporal: ClientConnectConfig;
  /** Where people look at workflows; only ever printed. */
  temporalUiUrl: string | null;
  workflowBundle: string;
  governor: GovernorLimits;
  /** gobgpds that are asked what routers have taken. */
  observers: { name: string; address: string }[];
}

export interface PemSet {
  ca: Buffer;
  cert: Buffer;
  key: Buffer;
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
    edges: { listen: env['AETHER_EDGE_LISTEN'] ?? '0.0.0.0:7700', tls: pemSet(env, 'AETHER_TLS') },
    adminSocket: env['AETHER_ADMIN_SOCKET'] ?? '/run/aether/admin.sock',
    metricsListen: env['AETHER_METRICS_LISTEN'] ?? '127.0.0.1:9700',
    logLevel: oneOf('AETHER_LOG_LEVEL', env['AETHER_LOG_LEVEL'] ?? 'info', LOG_LEVELS),
    auditEveryMs: duration(env, 'AETHER_AUDIT_EVERY', '15m'),
    temporal: temporalConfig(env),
    temporalUiUrl: env['AETHER_TEMPORAL_UI_URL'] ?? null,
    workflowBundle: join(__dirname, '../../workflow-bundle.js'),
    governor: governor(env),
    observers: commaList(env['AETHER_OBSERVERS'] ?? '').map(observer),
  };
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

function pemSet(env: Environment, prefix: string): PemSet {
  const read = (name: string): Buffer => {
    const path = required(env, name, 'the path of a PEM file; make one with: aether ca issue');
    try {
      return readFileSync(path);
    } catch (error) {
      throw new ConfigError(`${name}=${path} can't be read: ${(error as Error).message}`);
    }
  };
  return { ca: read(`${prefix}_CA`), cert: read(`${prefix}_CERT`), key: read(`${prefix}_KEY`) };
}
