/** Questions to a map of shards. */
import { SHARD_COUNT } from '../model/ids';
import { assign, type RingMember } from './assign';
import type { ControllerId, RingMap } from './types';

export const ownerOf = (map: RingMap, shard: number): ControllerId | null =>
  map.members[map.owners[shard] ?? -1]?.id ?? null;

/** In order. */
export function shardsOf(map: RingMap, id: ControllerId): number[] {
  const place = map.members.findIndex((member) => member.id === id);
  return map.owners.flatMap((owner, shard) => (owner === place ? [shard] : []));
}

export interface Move {
  shard: number;
  /** Null: there was no map. */
  from: ControllerId | null;
  to: ControllerId;
}

/** What changes hands from one map to the next, in the order of the shards. */
export function difference(former: RingMap | null, next: RingMap): Move[] {
  const moves: Move[] = [];
  for (let shard = 0; shard < SHARD_COUNT; shard++) {
    const from = former === null ? null : ownerOf(former, shard);
    const to = ownerOf(next, shard);
    if (to !== null && to !== from) moves.push({ shard, from, to });
  }
  return moves;
}

/** Whether two maps say the same of every shard, with the same weights. */
export const sameMap = (a: RingMap | null, b: RingMap | null): boolean =>
  a === b ||
  (a !== null &&
    b !== null &&
    a.members.length === b.members.length &&
    a.members.every(
      ({ id, weight }, i) => b.members[i]?.id === id && b.members[i]?.weight === weight,
    ) &&
    a.owners.every((owner, shard) => owner === b.owners[shard]));

/**
 * Who would own the shards of those that are not among `members`, by shard: what the next map will say when they
 * are gone.
 */
export function heirs(
  map: RingMap,
  members: readonly RingMember[],
  shardWeights: readonly number[],
): Map<number, ControllerId> {
  const staying = new Set(members.map(({ id }) => id));
  const next = assign(map, members, shardWeights);
  const found = new Map<number, ControllerId>();
  if (next === null) return found;
  for (const { shard, from, to } of difference(map, next)) {
    if (from !== null && !staying.has(from)) found.set(shard, to);
  }
  return found;
}

/** Of each member: its load beside its fair share, 1 = just that. */
export function loads(map: RingMap, shardWeights: readonly number[]): Map<ControllerId, number> {
  const carried = new Array<number>(map.members.length).fill(0);
  map.owners.forEach((owner, shard) => {
    carried[owner] = (carried[owner] ?? 0) + (shardWeights[shard] ?? 1);
  });
  const total = carried.reduce((sum, load) => sum + load, 0);
  const weights = map.members.reduce((sum, { weight }) => sum + weight, 0);
  return new Map(
    map.members.map(({ id, weight }, i) => [id, ((carried[i] ?? 0) * weights) / (total * weight)]),
  );
}

/** The largest load beside a fair share. */
export const imbalance = (map: RingMap, shardWeights: readonly number[]): number =>
  Math.max(1, ...loads(map, shardWeights).values());
