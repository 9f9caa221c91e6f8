/** The activity gateway in a controller: its way to Temporal, and the secret that all controllers share. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { EtcdClient } from '../../adapters/etcd/client';
import { absent } from '../../adapters/etcd/port';
import { createGateway, type Gateway } from '../../adapters/gateway/server';
import { TaskTokens } from '../../adapters/gateway/tokens';
import type { TemporalConfig } from '../../adapters/temporal/config';
import { RawTemporal, temporalPaths } from '../../adapters/temporal/raw';
import { keys } from '../../core/model/keys';
import type { ControllerMetrics } from './metrics';
import type { Standing } from './standing';

const SECRET_BYTES = 32;
const RETRY_MS = 1_000;

export class GatewaySide {
  readonly gateway: Gateway;
  #upstream: RawTemporal;
  #tokens: TaskTokens | null = null;

  constructor(
    private readonly etcd: EtcdClient,
    private readonly temporal: TemporalConfig,
    standing: Standing,
    metrics: ControllerMetrics,
    private readonly log: Logger,
  ) {
    this.#upstream = new RawTemporal(temporal.connectionOptions, temporal.namespace);
    this.gateway = createGateway({
      cluster: () =>
        this.#tokens && {
          namespace: temporal.namespace,
          tokens: this.#tokens,
          upstream: this.#upstream,
        },
      bar: (edge, issuedAtMs) => standing.bar(edge, issuedAtMs),
      shown: (edge, issuedAtMs) => standing.shown(edge, issuedAtMs, 'call'),
      refusedPaths: temporalPaths(),
      onCall: (method, outcome) => metrics.gatewayCalls.inc({ method, outcome }),
      onRefused: (edge, method, why, more) =>
        log.warn({ edge, method, why, more }, 'a call to Temporal was refused'),
    });
    standing.onChange((edge) => this.gateway.look(edge));
  }

  /** Until the secret is known: without it no task is handed out. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        this.#tokens = new TaskTokens(await clusterSecret(this.etcd));
        return;
      } catch (error) {
        this.log.warn({ err: error }, 'no secret for the tasks of edges yet: they wait');
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** The configuration has changed; what is under way ends where it began. */
  renew(): void {
    const former = this.#upstream;
    this.#upstream = new RawTemporal(this.temporal.connectionOptions, this.temporal.namespace);
    former.close();
  }

  close(): void {
    this.gateway.close();
    this.#upstream.close();
  }
}

/** Made by whichever controller is the first. */
async function clusterSecret(etcd: EtcdClient): Promise<Uint8Array> {
  const key = keys.gatewaySecret;
  const present = await etcd.get(key);
  if (present) return checked(present.value);
  const value = randomBytes(SECRET_BYTES);
  await etcd.write([absent(key)], [{ op: 'put', key, value }]);
  const made = await etcd.get(key);
  if (!made) throw new Error(`${key} was removed while it was read`);
  return checked(made.value);
}

function checked(value: Uint8Array): Uint8Array {
  if (value.length === SECRET_BYTES) return value;
  throw new Error(`${keys.gatewaySecret} holds ${value.length} bytes, not ${SECRET_BYTES}`);
}
