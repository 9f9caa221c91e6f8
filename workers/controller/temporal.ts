/**
 * The controller's side of Temporal: a connection as soon as there is a server, what the namespace
 * has to hold, and the Workers. Whatever of it dies is made anew; nothing else waits for it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { activityInfo } from '@temporalio/activity';
import type { ClientConnectConfig } from '@temporalio/envconfig';
import type { Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import { SEARCH_ATTRIBUTES } from '../../core/model/ids';
import type { BlocklistActivities } from '../../activities/blocklists';
import type { ClusterActivities } from '../../activities/cluster';
import type { RoutingActivities } from '../../activities/routing';
import { TemporalClient } from '../../adapters/temporal/client';
import { connectTemporal, type TemporalLink } from '../../adapters/temporal/connection';
import { ensureAuditSchedule, ensureSearchAttributes } from '../../adapters/temporal/setup';
import { createShardWorker, createWorkflowWorker } from '../../adapters/temporal/workers';

export interface TemporalSideOptions {
  config: ClientConnectConfig;
  identity: string;
  workflowBundle: string;
  auditEveryMs: number;
  activities: ClusterActivities & BlocklistActivities & RoutingActivities;
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
  readonly #shardWorkers = new Map<number, AbortController>();
  readonly #running = new Set<Promise<void>>();
  #link: TemporalLink | null = null;
  #client: TemporalClient | null = null;
  #arrived: (client: TemporalClient) => void = () => undefined;
  readonly #connected = new Promise<TemporalClient>((resolve) => (this.#arrived = resolve));
  #wanted: readonly number[] = [];
  #up = false;

  constructor(options: TemporalSideOptions) {
    this.#options = options;
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

  /** Shards whose activities are to be run here. */
  setShards(shards: readonly number[]): void {
    this.#wanted = shards;
    const link = this.#link;
    if (!link) return;
    for (const [shard, stop] of this.#shardWorkers) {
      if (shards.includes(shard)) continue;
      stop.abort();
      this.#shardWorkers.delete(shard);
    }
    const { identity } = this.#options;
    const activities = this.#timed();
    for (const shard of shards) {
      if (this.#shardWorkers.has(shard)) continue;
      const stop = new AbortController();
      this.#shardWorkers.set(shard, stop);
      this.#keepRunning(`shard ${shard}`, stop.signal, () =>
        createShardWorker(link, identity, shard, activities),
      );
    }
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
    this.setShards(this.#wanted);
    await this.#watchHealth(link);
    await Promise.all(this.#running);
    await link.connection.close();
  }

  /** The activities, each telling how long it waited. */
  #timed(): Record<string, (argument: never) => Promise<unknown>> {
    const { activities, onActivity } = this.#options;
    const timed = Object.entries(activities).map(([name, run]) => [
      name,
      (argument: never): Promise<unknown> => {
        onActivity(Math.max(0, Date.now() - activityInfo().currentAttemptScheduledTimestampMs));
        return run(argument);
      },
    ]);
    return Object.fromEntries(timed) as Record<string, (argument: never) => Promise<unknown>>;
  }

  async #connect(): Promise<TemporalLink | null> {
    let link: TemporalLink | null = null;
    await this.#untilDone('connect', async () => {
      link = await connectTemporal(this.#options.config, this.#options.identity);
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
    const loop = async (): Promise<void> => {
      while (!ended.aborted) {
        try {
          await runWorker(await create(), ended);
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

async function runWorker(worker: Worker, ended: AbortSignal): Promise<void> {
  const stop = (): void => {
    if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  ended.addEventListener('abort', stop, { once: true });
  try {
    const running = worker.run();
    if (ended.aborted) stop();
    await running;
  } finally {
    ended.removeEventListener('abort', stop);
  }
}
