/**
 * The controller's side of Temporal: a connection as soon as there is a server, what the namespace
 * has to hold, and the Workers. Whatever of it dies is made anew; nothing else waits for it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import { SEARCH_ATTRIBUTES } from '../../core/model/ids';
import type { BlocklistActivities } from '../../activities/blocklists';
import type { ClusterActivities } from '../../activities/cluster';
import type { RoutingActivities } from '../../activities/routing';
import { TemporalClient } from '../../adapters/temporal/client';
import type { TemporalConfig } from '../../adapters/temporal/config';
import { RenewableLink, type TemporalLink } from '../../adapters/temporal/connection';
import { RawTemporal } from '../../adapters/temporal/raw';
import { ensureAuditSchedule, ensureSearchAttributes } from '../../adapters/temporal/setup';
import { createWorkflowWorker } from '../../adapters/temporal/workers';
import { ShardWorkers } from './shard-workers';

export interface TemporalSideOptions {
  config: TemporalConfig;
  identity: string;
  workflowBundle: string;
  auditEveryMs: number;
  activities: ClusterActivities & BlocklistActivities & RoutingActivities;
  /** Whether an activity of this shard may begin. */
  holds: (shard: number) => boolean;
  /** A shard is polled for no more, or nothing of it runs any more. */
  onShardWorker: () => void;
  log: Logger;
  signal: AbortSignal;
  /** It answers now, or no longer does. */
  onHealth: (up: boolean) => void;
  /** An activity begins that waited in its queue for so long. */
  onActivity: (waitedMs: number) => void;
}

const RETRY_MS = 1_000;
const HEALTH_EVERY_MS = 5_000;
const HEALTH_TIMEOUT_MS = 2_000;

export class TemporalSide {
  readonly #options: TemporalSideOptions;
  /** Those of the shards. */
  readonly workers: ShardWorkers;
  readonly #running = new Set<Promise<void>>();
  #link: RenewableLink | null = null;
  /** The way of the shards' activities, apart from that of the workflows. */
  #raw: RawTemporal | null = null;
  #client: TemporalClient | null = null;
  #arrived: (client: TemporalClient) => void = () => undefined;
  readonly #connected = new Promise<TemporalClient>((resolve) => (this.#arrived = resolve));
  #up = false;

  constructor(options: TemporalSideOptions) {
    this.#options = options;
    this.workers = new ShardWorkers({
      ...options,
      activities: options.activities,
      onChange: options.onShardWorker,
    });
  }

  get up(): boolean {
    return this.#up;
  }

  /** Null before the first connection; it may not answer at this moment. */
  get client(): TemporalClient | null {
    return this.#client;
  }

  /** Resolves once there was a first connection. */
  whenConnected(): Promise<TemporalClient> {
    return this.#connected;
  }

  /** Until the signal; resolves when all Workers have ended. */
  async run(): Promise<void> {
    const { signal, identity, workflowBundle, activities, log } = this.#options;
    const link = await this.#connect();
    if (!link) return;
    this.#link = link;
    this.#client = new TemporalClient(link.client);
    await this.#untilDone('set up the namespace', async () => {
      if (!(await ensureSearchAttributes(link))) {
        const attributes = SEARCH_ATTRIBUTES.join(', ');
        log.warn(
          { attributes },
          'the search attributes could not be checked; they have to be there',
        );
      }
      await ensureAuditSchedule(link, this.#options.auditEveryMs);
    });
    log.info({ address: link.address, namespace: link.namespace }, 'connected to Temporal');
    this.#arrived(this.#client);
    const { shardsWithNodes, placement } = activities;
    const local = { shardsWithNodes, placement };
    this.#keepRunning('workflows', signal, () =>
      createWorkflowWorker(link, identity, workflowBundle, local),
    );
    const way = this.#rawWay();
    this.#raw = way;
    this.workers.connected({ namespace: link.namespace, temporal: () => this.#raw ?? way });
    await this.#watchHealth(link);
    await Promise.all([...this.#running, this.workers.end()]);
    this.#raw.close();
    await link.close();
  }

  /** Its configuration has changed: other certificates, say. */
  async renew(): Promise<void> {
    const { config, log } = this.#options;
    const link = this.#link;
    if (link === null) return;
    await this.#untilDone('connect anew', () => link.renew(config));
    // Polls under way end where they began.
    const former = this.#raw;
    this.#raw = this.#rawWay();
    former?.close();
    log.info({ address: link.address }, 'connected to Temporal anew');
  }

  #rawWay(): RawTemporal {
    const { connectionOptions, namespace } = this.#options.config;
    return new RawTemporal(connectionOptions, namespace);
  }

  async #connect(): Promise<RenewableLink | null> {
    let link: RenewableLink | null = null;
    await this.#untilDone('connect', async () => {
      link = await RenewableLink.open(this.#options.config, this.#options.identity);
    });
    return link;
  }

  async #untilDone(what: string, attempt: () => Promise<void>): Promise<void> {
    const { signal, log } = this.#options;
    while (!signal.aborted) {
      try {
        return await attempt();
      } catch (error) {
        log.warn({ err: error }, `Temporal: could not ${what}; trying again`);
        await pause(signal);
      }
    }
  }

  /** A Worker under supervision: one that ends by an error is made anew. */
  #keepRunning(name: string, stop: AbortSignal, create: () => Promise<Worker>): void {
    const { signal, log } = this.#options;
    const ended = AbortSignal.any([stop, signal]);
    const link = this.#link;
    if (link === null) return;
    const loop = async (): Promise<void> => {
      while (!ended.aborted) {
        try {
          await runWorker(link, await create(), ended);
        } catch (error) {
          log.error({ err: error, worker: name }, 'a Worker ended; making it anew');
        }
        await pause(ended);
      }
    };
    const running = loop().finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #watchHealth(link: TemporalLink): Promise<void> {
    const { signal, onHealth } = this.#options;
    while (!signal.aborted) {
      const up = await link.client
        .withDeadline(Date.now() + HEALTH_TIMEOUT_MS, () =>
          link.connection.workflowService.getSystemInfo({}),
        )
        .then(
          () => true,
          () => false,
        );
      this.#up = up;
      onHealth(up);
      await sleep(HEALTH_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

const pause = (signal: AbortSignal): Promise<unknown> =>
  sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);

/** Until it fails, or `ended`: then it takes no more, and what it runs ends first. */
async function runWorker(link: RenewableLink, worker: Worker, ended: AbortSignal): Promise<void> {
  const stop = (): void => {
    if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  ended.addEventListener('abort', stop, { once: true });
  try {
    const running = link.run(worker);
    if (ended.aborted) stop();
    await running;
  } finally {
    ended.removeEventListener('abort', stop);
  }
}
