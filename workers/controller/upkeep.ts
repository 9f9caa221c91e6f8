/**
 * From what is wanted to what is done. Whatever happens only marks nodes; one look follows all that
 * came in at once, and does what is due: run the activities of our shards, send specs, start
 * workflows. Repeating a look is always harmless. Which shards are ours is `ring-side.ts`'s.
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
  /** Shards that are about to be ours. */
  arriving: () => readonly number[];
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
  /** Ours at the last look. */
  #kept: ReadonlySet<number> = new Set();
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
    const { desired, shards, edges, lifecycles, feeds, signal, log } = this.#deps;
    try {
      if (!desired.ready) return;
      shards.sawCluster(desired.cluster?.revision ?? 0);
      for (const shard of desired.shards()) this.#served.add(shard);
      const named = [...desired.feedNames(), ...desired.serviceNames()];
      for (const name of named) this.#served.add(shardOf(name));
      this.#serve();
      if (signal.aborted) return;
      const nodes = this.#allDirty ? desired.names() : [...this.#dirty];
      this.#allDirty = false;
      this.#dirty.clear();
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

  /** Runs the activities of what is ours, and looks at all nodes of a shard when it has become so, or is no longer. */
  #serve(): void {
    const { desired, shards, arriving, temporal } = this.#deps;
    const served = [...this.#served];
    const kept = new Set(served.filter((shard) => shards.keeps(shard)));
    const gained = [...kept].filter((shard) => !this.#kept.has(shard));
    const lost = [...this.#kept].filter((shard) => !kept.has(shard));
    // Of others' shards nothing is due because of that.
    for (const shard of [...gained, ...lost]) {
      for (const node of desired.inShard(shard)) this.#dirty.add(node);
    }
    this.#kept = kept;
    const ahead = new Set(arriving());
    temporal.workers.set(
      [...kept],
      served.filter((shard) => ahead.has(shard)),
    );
  }
}
