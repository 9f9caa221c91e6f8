/** How even the ring is, what it moves, what it costs to ask it; see README.md. */
import { SHARD_COUNT } from '../../core/model/ids';
import { assign, shardWeight } from '../../core/ring/assign';
import { ownerOf } from '../../core/ring/map';
import { shardOf } from '../../core/ring/shard';
import type { RingMap } from '../../core/ring/types';
import type { Figure } from '../common/figures';
import { PointRing, rendezvous } from './peers';

export interface Form {
  fleets: number;
  lookupMs: number;
}

export const FULL: Form = { fleets: 15, lookupMs: 1_000 };
export const SMOKE: Form = { fleets: 2, lookupMs: 20 };

const EDGES = 1_000;
const HRW = 'highest random weight, by shard';
const POINTS = 'ring of 160 points a member';

const controllers = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `c${String(i).padStart(2, '0')}`);

const fleet = (number: number): string[] =>
  Array.from({ length: EDGES }, (_, i) => `site${number}-edge-${i}`);

function next(
  former: RingMap | null,
  members: readonly string[],
  edges: readonly string[],
): RingMap {
  const counts = new Array<number>(SHARD_COUNT).fill(0);
  for (const edge of edges) counts[shardOf(edge)] = (counts[shardOf(edge)] ?? 0) + 1;
  const weighted = members.map((id) => ({ id, weight: 1 }));
  const map = assign(former, weighted, counts.map(shardWeight));
  if (map === null) throw new Error('there are no members');
  return map;
}

type OwnerOf = (edge: string) => string | null;

const byMap =
  (map: RingMap): OwnerOf =>
  (edge) =>
    ownerOf(map, shardOf(edge));

/** Most edges at one beside the mean. */
function spread(owner: OwnerOf, edges: readonly string[], members: number): number {
  const counts = new Map<string | null, number>();
  for (const edge of edges) counts.set(owner(edge), (counts.get(owner(edge)) ?? 0) + 1);
  return Math.max(...counts.values()) / (edges.length / members);
}

const moved = (before: OwnerOf, after: OwnerOf, edges: readonly string[]): number =>
  edges.filter((edge) => before(edge) !== after(edge)).length;

/** As a cluster comes up: one after the other. */
function grown(count: number, edges: readonly string[]): RingMap {
  let map: RingMap | null = null;
  for (let n = 1; n <= count; n++) map = next(map, controllers(n), edges);
  if (map === null) throw new Error('there are no members');
  return map;
}

function balance(count: number, fleets: number): Figure {
  const [samples, peer]: [number[], number[]] = [[], []];
  const shards = rendezvous(controllers(count), SHARD_COUNT);
  for (let i = 0; i < fleets; i++) {
    const edges = fleet(i);
    samples.push(spread(byMap(grown(count, edges)), edges, count));
    peer.push(spread((edge) => shards[shardOf(edge)] ?? null, edges, count));
  }
  return {
    claim: `1,000 edges at ${count} controllers: most edges at one ÷ the mean`,
    unit: '×',
    bar: { measure: 'max', atMost: count > 5 ? 1.1 : 1.05 },
    samples,
    peer: { name: HRW, samples: peer },
  };
}

const OF_WHAT = {
  join: 'joins: edges moved ÷ an even share',
  leave: 'leaves: edges moved ÷ what it had',
} as const;

/** Beside what has to move: the share of who joins, or what the one had who leaves. */
function movement(count: number, fleets: number): Figure[] {
  const taken = { join: [] as number[], leave: [] as number[] };
  const peers = { join: [] as number[], leave: [] as number[] };
  for (let i = 0; i < fleets; i++) {
    const edges = fleet(i);
    const map = grown(count, edges);
    const points = new PointRing(controllers(count));
    const ofPoints: OwnerOf = (edge) => points.ownerOf(edge);
    const more = new PointRing(controllers(count + 1));
    const ideal = edges.length / (count + 1);
    const joined = byMap(next(map, controllers(count + 1), edges));
    taken.join.push(moved(byMap(map), joined, edges) / ideal);
    peers.join.push(moved(ofPoints, (edge) => more.ownerOf(edge), edges) / ideal);
    const leaving = controllers(count)[i % count] ?? '';
    const staying = controllers(count).filter((id) => id !== leaving);
    const fewer = new PointRing(staying);
    const had = (owner: OwnerOf): number => edges.filter((edge) => owner(edge) === leaving).length;
    const left = byMap(next(map, staying, edges));
    taken.leave.push(moved(byMap(map), left, edges) / had(byMap(map)));
    peers.leave.push(moved(ofPoints, (edge) => fewer.ownerOf(edge), edges) / had(ofPoints));
  }
  return (['join', 'leave'] as const).map((what) => ({
    claim: `${count} controllers, one ${OF_WHAT[what]}`,
    unit: '×',
    bar: { measure: 'median', atMost: 1.05 },
    samples: taken[what],
    peer: { name: POINTS, samples: peers[what] },
  }));
}

/** CPU time of one lookup, in ns. */
function lookupNs(owner: OwnerOf, edges: readonly string[], forMs: number): number {
  const before = process.cpuUsage();
  const endsAt = performance.now() + forMs;
  let [asked, found] = [0, 0];
  while (performance.now() < endsAt) {
    for (const edge of edges) if (owner(edge) !== null) found++;
    asked += edges.length;
  }
  if (found !== asked) throw new Error('an edge has no owner');
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / asked;
}

function lookups({ fleets, lookupMs }: Form): Figure {
  const edges = fleet(0);
  const ours = byMap(grown(5, edges));
  const points = new PointRing(controllers(5));
  const theirs: OwnerOf = (edge) => points.ownerOf(edge);
  const [samples, peer]: [number[], number[]] = [[], []];
  for (const owner of [ours, theirs]) lookupNs(owner, edges, lookupMs);
  for (let i = 0; i < fleets; i++) {
    samples.push(lookupNs(ours, edges, lookupMs));
    peer.push(lookupNs(theirs, edges, lookupMs));
  }
  return {
    claim: 'from the name of an edge to its owner, CPU time (5 controllers; 200 ns = 5 M/s)',
    unit: 'ns',
    bar: { measure: 'median', atMost: 200 },
    samples,
    peer: { name: POINTS, samples: peer },
  };
}

export const measure = (form: Form): Figure[] => [
  ...[3, 5, 20].map((count) => balance(count, form.fleets)),
  ...[3, 5, 20].flatMap((count) => movement(count, form.fleets)),
  lookups(form),
];
