/**
 * From what is wanted to what is done. Whatever happens only marks nodes; one look follows all that
 * came in at once, and does what is due: claim shards, run their activities, send specs, start
 * workflows. Repeating a look is always harmless.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { feedSchedules } from '../../adapters/temporal/schedules';
import type { NodeName } from '../../core/model/ids';
import { shardOf } from '../../core/ring/shard';
import type { Concerned, DesiredState } from './desired';
import type { Edges } from './edges';
import type { FeedSchedules } from './feed-schedules';
import type { Lifecycles } from './lifecycles';
import type { Shards } from './shards';
import type { TemporalSide } from './temporal';

export interface UpkeepDependencies {
  desired: DesiredState;
  shards: Shards;
  edges: Edges;
  lifecycles: Lifecycles;
  temporal: TemporalSide;
  feeds: FeedSchedules;
  log: Logger;
  signal: AbortSignal;
}

const RETRY_MS = 1_000;

export class Upkeep {
  readonly #deps: UpkeepDependencies;
  /** Shards that have or had nodes, feeds or services: what takes a node away goes on after its keys are gone. */
  readonly #served = new Set<number>();
  readonly #dirty = new Set<NodeName>();
  #allDirty = false;
  #looking = false;

  constructor(dependencies: UpkeepDependencies) {
    this.#deps = dependencies;
  }

  mark(concerned: Concerned): void {
    if (concerned === 'all') this.#allDirty = true;
    else for (const node of concerned.nodes) this.#dirty.add(node);
    if (this.#looking) return;
    this.#looking = true;
    setImmediate(() => void this.#look());
  }

  /** A shard that another one held, or that etcd refused, is claimed as soon as it can be. */
  claimMissing(): void {
    if (this.#missing().length > 0) this.mark({ nodes: [] });
  }

  /** Shards of what is being taken away (nodes, feeds), whose keys may be gone already. */
  async serveUnfinished(): Promise<void> {
    const { temporal, feeds, signal, log } = this.#deps;
    const stopped = new Promise<null>((resolve) => {
      signal.addEventListener('abort', () => resolve(null), { once: true });
    });
    const client = await Promise.race([temporal.whenConnected(), stopped]);
    while (client && !signal.aborted) {
      try {
        for (const node of await client.nodesBeingRemoved()) this.#served.add(shardOf(node));
        const scheduled = await feedSchedules(client.client);
        for (const name of scheduled) this.#served.add(shardOf(name));
        feeds.found(scheduled);
        return this.mark({ nodes: [] });
      } catch (error) {
        log.warn({ err: error }, 'could not ask for unfinished removals; trying again');
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #look(): Promise<void> {
    const { desired, shards, edges, lifecycles, temporal, feeds, signal, log } = this.#deps;
    try {
      if (!desired.ready) return;
      shards.sawCluster(desired.cluster?.revision ?? 0);
      for (const shard of desired.shards()) this.#served.add(shard);
      const named = [...desired.feedNames(), ...desired.serviceNames()];
      for (const name of named) this.#served.add(shardOf(name));
      // What becomes ours is looked at as a whole.
      if (await this.#claimed()) this.#allDirty = true;
      if (signal.aborted) return;
      const nodes = this.#allDirty ? desired.names() : [...this.#dirty];
      this.#allDirty = false;
      this.#dirty.clear();
      temporal.setShards([...this.#served].filter((shard) => shards.holds(shard)));
      feeds.check();
      for (const node of nodes) {
        edges.push(node);
        lifecycles.check(node);
      }
    } catch (error) {
      log.error({ err: error }, 'a look at what is wanted failed');
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
    } finally {
      this.#looking = false;
      const more = this.#allDirty || this.#dirty.size > 0;
      if (more && desired.ready && !signal.aborted) this.mark({ nodes: [] });
    }
  }

  /** Claims what is missing; whether any of it is ours now. */
  async #claimed(): Promise<boolean> {
    const missing = this.#missing();
    if (missing.length === 0) return false;
    const { shards, log } = this.#deps;
    try {
      await shards.claim(missing);
    } catch (error) {
      log.warn({ err: error }, 'shards could not be claimed; trying again');
    }
    return missing.some((shard) => shards.holds(shard));
  }

  #missing(): number[] {
    return [...this.#served].filter((shard) => !this.#deps.shards.holds(shard));
  }
}
