/**
 * Shards to controllers: stable bounded assignment. What can stay stays; a shard moves only because its
 * owner is gone, or because somebody is further from its fair share than the bound allows. A function of its
 * arguments alone, in integers, with ties by id and by number: every build makes the same map of the same
 * facts, so any controller can verify what another one proposed.
 */
import { SHARD_COUNT } from '../model/ids';
import type { ControllerId, RingMap } from './types';

export interface RingMember {
  id: ControllerId;
  /** Positive integer. */
  weight: number;
}

/** Above its share by more than one part in so many, and by more than 5/4 of an average shard: out of bounds. */
const BOUND_PARTS = 25;
/** An edge weighs as much as so many shards without one. */
const EDGE_WEIGHT = 8;
/** So much further below it may be who has been there before: too little hurts nobody, a move does. */
const BELOW = 2;

/** What a shard weighs with so many edges; one without has its own small cost. */
export const shardWeight = (edges: number): number => 1 + EDGE_WEIGHT * edges;

/** What a member has, and shall have. All in units of 1 / (sum of the members' weights). */
interface Load {
  id: ControllerId;
  weight: number;
  share: number;
  /** Bounds of its load. */
  most: number;
  least: number;
  load: number;
  shards: Set<number>;
}

/**
 * The next map; null where there is no member. `shardWeights`: SHARD_COUNT positive integers
 * (`shardWeight`).
 */
export function assign(
  former: RingMap | null,
  members: readonly RingMember[],
  shardWeights: readonly number[],
): RingMap | null {
  if (members.length === 0) return null;
  return new Assignment(former, members, shardWeights).made(former);
}

class Assignment {
  readonly #loads: Load[];
  /** Of each shard, in the unit of the loads. */
  readonly #weights: number[];

  constructor(
    former: RingMap | null,
    members: readonly RingMember[],
    shardWeights: readonly number[],
  ) {
    const unit = members.reduce((sum, { weight }) => sum + weight, 0);
    const weights = Array.from({ length: SHARD_COUNT }, (_, shard) => shardWeights[shard] ?? 1);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const average = Math.ceil((5 * total * unit) / (4 * SHARD_COUNT));
    const known = new Set(former?.members.map(({ id }) => id));
    this.#weights = weights.map((weight) => weight * unit);
    this.#loads = members
      .map(({ id, weight }) => {
        const share = total * weight;
        const bound = Math.max(Math.floor(share / BOUND_PARTS), average);
        const least = share - bound * (known.has(id) ? BELOW : 1);
        return {
          id,
          weight,
          share,
          most: share + bound,
          least,
          load: 0,
          shards: new Set<number>(),
        };
      })
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  made(former: RingMap | null): RingMap {
    const byId = new Map(this.#loads.map((load) => [load.id, load]));
    const orphans: number[] = [];
    for (let shard = 0; shard < SHARD_COUNT; shard++) {
      const owner = former?.members[former.owners[shard] ?? -1]?.id;
      const keeper = owner === undefined ? undefined : byId.get(owner);
      if (keeper) this.#give(shard, keeper);
      else orphans.push(shard);
    }
    // The heaviest first: what comes last evens out.
    orphans.sort((a, b) => this.#weight(b) - this.#weight(a) || a - b);
    for (const shard of orphans) this.#give(shard, this.#neediest());
    this.#even();
    return this.#map();
  }

  /** Each move brings the two it concerns nearer to their shares, so this ends. */
  #even(): void {
    for (;;) {
      const fullest = this.#fullest();
      const neediest = this.#neediest();
      const out = fullest.load > fullest.most || neediest.load < neediest.least;
      const shard = out ? this.#movable(fullest, neediest) : null;
      if (shard === null) return;
      fullest.shards.delete(shard);
      fullest.load -= this.#weight(shard);
      this.#give(shard, neediest);
    }
  }

  /**
   * The first shard that neither end needs itself; where all are too heavy for that, the lightest, if the
   * two are nearer to their shares with it moved. By number and not by weight, so that the receiver gets
   * shards as they come, and not all the heavy ones.
   */
  #movable(from: Load, to: Load): number | null {
    const room = Math.min(from.load - from.share, to.share - to.load);
    let lightest: number | null = null;
    for (const shard of [...from.shards].sort((a, b) => a - b)) {
      const weight = this.#weight(shard);
      if (weight <= room) return shard;
      if (lightest === null || weight < this.#weight(lightest)) lightest = shard;
    }
    if (lightest === null) return null;
    const weight = this.#weight(lightest);
    const before = Math.max(from.load - from.share, to.share - to.load);
    const after = Math.max(
      Math.abs(from.load - weight - from.share),
      Math.abs(to.load + weight - to.share),
    );
    return after < before ? lightest : null;
  }

  /** Furthest below its share, as a part of its weight. */
  #neediest(): Load {
    return this.#loads.reduce((best, each) =>
      (each.load - each.share) * best.weight < (best.load - best.share) * each.weight ? each : best,
    );
  }

  #fullest(): Load {
    return this.#loads.reduce((best, each) =>
      (each.load - each.share) * best.weight > (best.load - best.share) * each.weight ? each : best,
    );
  }

  #give(shard: number, to: Load): void {
    to.shards.add(shard);
    to.load += this.#weight(shard);
  }

  #weight(shard: number): number {
    return this.#weights[shard] ?? 0;
  }

  #map(): RingMap {
    const owning = this.#loads.filter(({ shards }) => shards.size > 0);
    const owners = new Array<number>(SHARD_COUNT).fill(0);
    owning.forEach(({ shards }, place) => {
      for (const shard of shards) owners[shard] = place;
    });
    return { members: owning.map(({ id, weight }) => ({ id, weight })), owners };
  }
}
