import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SHARD_COUNT } from '../model/ids';
import { assign, type RingMember, shardWeight } from './assign';
import { difference, imbalance, sameMap } from './map';
import { shardOf } from './shard';
import type { RingMap } from './types';

const EDGES = 1_000;

/** Edges by shard: as the names of a fleet happen to hash. */
function edgesOf(fleet: string): number[] {
  const edges = new Array<number>(SHARD_COUNT).fill(0);
  for (let i = 0; i < EDGES; i++) edges[shardOf(`${fleet}-${i}`)]! += 1;
  return edges;
}

const weightsOf = (edges: readonly number[]): number[] => edges.map(shardWeight);

const members = (...numbers: number[]): RingMember[] =>
  numbers.map((number) => ({ id: `c${String(number).padStart(2, '0')}`, weight: 1 }));

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Most edges at one controller beside the mean. */
function spread(map: RingMap, edges: readonly number[], controllers: number): number {
  const loads = new Array<number>(controllers).fill(0);
  map.owners.forEach((owner, shard) => (loads[owner]! += edges[shard]!));
  return Math.max(...loads) / (EDGES / controllers);
}

const made = (
  former: RingMap | null,
  of: readonly RingMember[],
  weights: readonly number[],
): RingMap => assign(former, of, weights) ?? assert.fail('there are members');

const fleet = fc.string({
  unit: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'),
  minLength: 1,
  maxLength: 8,
});

/** Weight that changed hands beside the least that has to. */
function movement(former: RingMap, next: RingMap, weights: readonly number[], ideal: number) {
  const moved = difference(former, next).reduce((sum, { shard }) => sum + weights[shard]!, 0);
  return moved / ideal;
}

for (const [controllers, bound, most] of [
  [3, 1.05, 1.05],
  [5, 1.05, 1.05],
  // Whoever gets the heaviest shard of a former one may have to give up another: 1 in 20 fleets, and two of them in 200.
  [20, 1.1, 1.25],
] as const) {
  test(`${controllers} controllers: even to ${bound}, and no more moves than must`, () => {
    fc.assert(
      fc.property(fleet, fc.nat(controllers - 1), (name, leaving) => {
        const edges = edgesOf(name);
        const weights = weightsOf(edges);
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        // Grown one by one, as a cluster comes up.
        let map: RingMap | null = null;
        for (let n = 1; n <= controllers; n++) {
          const next = made(map, members(...range(n)), weights);
          if (map !== null) assert.ok(movement(map, next, weights, total / n) <= 1.05, `to ${n}`);
          map = next;
        }
        const grown = map!;
        assert.ok(
          spread(grown, edges, controllers) <= bound,
          `${spread(grown, edges, controllers)}`,
        );
        assert.ok(imbalance(grown, weights) <= bound);
        const held = weights.reduce(
          (sum, weight, shard) => sum + (grown.owners[shard] === leaving ? weight : 0),
          0,
        );
        const without = range(controllers).filter((n) => n !== leaving);
        const left = made(grown, members(...without), weights);
        assert.ok(
          movement(grown, left, weights, held) <= most,
          `${movement(grown, left, weights, held)}`,
        );
        assert.ok(
          spread(left, edges, without.length) <= Math.min(most, 1.15),
          `after: ${spread(left, edges, without.length)}`,
        );
      }),
      { numRuns: 60 },
    );
  });
}

const cluster = fc.uniqueArray(
  fc.record({ id: fc.integer({ min: 0, max: 30 }), weight: fc.integer({ min: 1, max: 9 }) }),
  { selector: ({ id }) => id, minLength: 1, maxLength: 12 },
);
const shardWeights = fc.array(fc.integer({ min: 1, max: 40 }), {
  minLength: SHARD_COUNT,
  maxLength: SHARD_COUNT,
});
const named = (of: readonly { id: number; weight: number }[]): RingMember[] =>
  of.map(({ id, weight }) => ({ id: `c${id}`, weight }));

test('every shard has an owner that is a member, whatever was before', () => {
  fc.assert(
    fc.property(cluster, cluster, shardWeights, (before, after, weights) => {
      const next = made(assign(null, named(before), weights), named(after), weights);
      const ids = new Set(named(after).map(({ id }) => id));
      assert.equal(next.owners.length, SHARD_COUNT);
      assert.ok(next.members.every(({ id }) => ids.has(id)));
      assert.ok(next.owners.every((owner) => owner < next.members.length));
      assert.deepEqual(
        next.members.map(({ id }) => id),
        next.members.map(({ id }) => id).sort(),
      );
    }),
  );
});

test('the order in which members are listed is nothing', () => {
  fc.assert(
    fc.property(cluster, cluster, shardWeights, (before, after, weights) => {
      const former = assign(null, named(before), weights);
      const reversed = assign(null, named([...before].reverse()), weights);
      assert.ok(sameMap(former, reversed));
      const next = assign(former, named(after), weights);
      assert.ok(sameMap(next, assign(former, named([...after].reverse()), weights)));
    }),
  );
});

test('what was made is left alone by the next look', () => {
  fc.assert(
    fc.property(cluster, cluster, shardWeights, (before, after, weights) => {
      const former = assign(null, named(before), weights);
      const next = assign(former, named(after), weights);
      assert.ok(sameMap(next, assign(next, named(after), weights)));
    }),
  );
});

test('weights are kept to within a shard or a twentieth', () => {
  const weights = weightsOf(edgesOf('edge'));
  const heavy = made(
    null,
    [
      { id: 'a', weight: 1 },
      { id: 'b', weight: 3 },
    ],
    weights,
  );
  assert.ok(imbalance(heavy, weights) <= 1.05);
  const grown = made(
    heavy,
    [
      { id: 'a', weight: 1 },
      { id: 'b', weight: 3 },
      { id: 'c', weight: 2 },
    ],
    weights,
  );
  assert.ok(imbalance(grown, weights) <= 1.05);
});

test('without members there is no map', () => {
  assert.equal(assign(null, [], []), null);
});
