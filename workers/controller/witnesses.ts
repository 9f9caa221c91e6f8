/**
 * What the edges of all regions can bear witness of, wherever their streams are. That a stream is away is evidence only
 * where somebody is heard who would have it: a controller that is gone takes its streams with it, and says nothing.
 */
import type { EdgeWitness } from '../../core/failover/evidence';
import type { NodeName } from '../../core/model/ids';
import type { DesiredState } from './desired';
import type { EdgeView, Fleet } from './fleet';
import type { Peers } from './peers';
import type { Shards } from './shards';

export interface WitnessesDependencies {
  /** Id of this controller. */
  self: string;
  desired: Pick<DesiredState, 'shards' | 'inShard' | 'inputs' | 'owner' | 'controllers'>;
  shards: Pick<Shards, 'holds'>;
  edges: Pick<Fleet, 'get'>;
  peers: Pick<Peers, 'heardSinceMs'>;
}

/**
 * An edge that lost its stream has so long to come to another controller: it may have to find out first, and
 * thousands come spread over 20 s.
 */
export const RETURN_MS = 30_000;

export class Witnesses {
  readonly #deps: WitnessesDependencies;
  /** By shard: who shall have its edges and is heard, and since when both is so without a break. */
  readonly #owned = new Map<number, { owner: string; sinceMs: number }>();
  /** Which streams were not up at the last look, and since which look. */
  readonly #away = new Map<NodeName, { stream: string | null; sinceMs: number }>();

  constructor(dependencies: WitnessesDependencies) {
    this.#deps = dependencies;
  }

  /** `nowMs`: monotonic. What it was told by clocks of others, or by its own, is no part of this. */
  all(nowMs: number): EdgeWitness[] {
    const { desired } = this.#deps;
    const witnesses = desired.shards().flatMap((shard) => {
      const sinceMs = this.#ownedSince(shard, nowMs);
      return desired.inShard(shard).map((node) => this.#witness(node, sinceMs, nowMs));
    });
    const nodes = new Set(witnesses.map(({ node }) => node));
    for (const node of this.#away.keys()) if (!nodes.has(node)) this.#away.delete(node);
    return witnesses;
  }

  #witness(node: NodeName, ownedSinceMs: number | null, nowMs: number): EdgeWitness {
    const { desired, edges } = this.#deps;
    const view = edges.get(node);
    const region = desired.inputs(node).node?.value.resource.metadata.region ?? '';
    const status = view?.routing?.status ?? null;
    const witness = { node, region, status, goneForMs: null, unheard: false };
    const awaySinceMs = this.#awaySince(node, view, nowMs);
    if (awaySinceMs === null) return witness;
    if (ownedSinceMs === null) return { ...witness, unheard: true };
    // What was seen of it before its shard had this owner says nothing: it may have been elsewhere since.
    const missedSinceMs = Math.max(awaySinceMs, ownedSinceMs);
    return { ...witness, goneForMs: nowMs - missedSinceMs - this.#returnMs(view) };
  }

  /** Looks follow each change, so the first one that found it so is as good as its end. Null: it is up. */
  #awaySince(node: NodeName, view: EdgeView | null, nowMs: number): number | null {
    if (view?.connected) {
      this.#away.delete(node);
      return null;
    }
    const stream = view?.stream ?? null;
    const known = this.#away.get(node);
    if (known?.stream === stream) return known.sinceMs;
    this.#away.set(node, { stream, sinceMs: nowMs });
    return nowMs;
  }

  /** From then on an edge that does not come is missed; null: nobody is heard who would have it. */
  #ownedSince(shard: number, nowMs: number): number | null {
    const owner = this.#ownerOf(shard);
    const known = this.#owned.get(shard);
    if (owner === null) this.#owned.delete(shard);
    else if (known?.owner !== owner) this.#owned.set(shard, { owner, sinceMs: nowMs });
    return this.#owned.get(shard)?.sinceMs ?? null;
  }

  /** Another name is another owner, or the same one after it was not heard. */
  #ownerOf(shard: number): string | null {
    const { self, desired, shards, peers } = this.#deps;
    if (shards.holds(shard)) return self;
    const key = desired.owner(shard);
    const heardSinceMs = key === null ? null : peers.heardSinceMs(key.value.controller);
    if (key === null || heardSinceMs === null) return null;
    return `${key.value.controller} ${key.revision} ${heardSinceMs}`;
  }

  /** With nobody else there is nowhere to return to but here. */
  #returnMs(view: EdgeView | null): number {
    const { self, desired } = this.#deps;
    if (view === null) return 0;
    const others = desired.controllers().some(([id]) => id !== self);
    return others || view.at !== self ? RETURN_MS : 0;
  }
}
