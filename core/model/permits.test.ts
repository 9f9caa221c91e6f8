/** Permits over whole lives: never more than there may be, and none that moves without need. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { nextPermits, type PermitPicture } from './permits';
import type { Permits } from './routing';

const NODES = ['a', 'b', 'c', 'd', 'e'];

const picture = (over: Partial<PermitPicture>): PermitPicture => ({
  floor: 1,
  candidates: NODES,
  nodes: NODES,
  present: null,
  settled: [],
  ...over,
});

const permits = (holders: Record<string, 'held' | 'returning'>): Permits => ({
  holders: Object.fromEntries(Object.entries(holders).map(([node, state]) => [node, { state }])),
});

const held = ({ holders }: Permits): string[] =>
  Object.keys(holders).filter((node) => holders[node]?.state === 'held');

describe('permits', () => {
  test('all but the floor get one, and nothing is written where nothing changes', () => {
    const first = nextPermits(picture({ floor: 2 }));
    assert.deepEqual(first, permits({ a: 'held', b: 'held', c: 'held' }));
    assert.equal(nextPermits(picture({ floor: 2, present: first })), null);
    assert.equal(nextPermits(picture({ floor: 5 })), null, 'nobody may, so nothing is written');
    assert.equal(nextPermits(picture({ floor: 9 })), null);
  });

  test('one that is taken back counts until its holder has accepted a spec without it', () => {
    const present = permits({ a: 'held', b: 'held' });
    const nodes = ['a', 'b', 'c'];
    const drained = picture({ nodes, candidates: ['b', 'c'], present });
    const back = permits({ a: 'returning', b: 'held' });
    assert.deepEqual(nextPermits(drained), back);
    assert.equal(nextPermits({ ...drained, present: back }), null);
    assert.deepEqual(
      nextPermits({ ...drained, present: back, settled: ['a'] }),
      permits({ b: 'held' }),
    );
    const returned = { ...drained, present: back, candidates: nodes };
    assert.deepEqual(nextPermits(returned), present, 'who comes back first has it again');
  });

  test('a higher floor takes back what is too much; a lower one hands out', () => {
    const present = permits({ a: 'held', b: 'held', c: 'held', d: 'held' });
    const raised = permits({ a: 'held', b: 'returning', c: 'returning', d: 'returning' });
    assert.deepEqual(nextPermits(picture({ floor: 4, present })), raised);
    const nothing = nextPermits(picture({ floor: 4, present: raised, settled: ['b', 'c', 'd'] }));
    assert.deepEqual(nothing, permits({ a: 'held' }));
    assert.deepEqual(
      nextPermits(picture({ floor: 3, present: nothing })),
      permits({ a: 'held', b: 'held' }),
    );
  });

  test('what a node held that is no more is free again', () => {
    const present = permits({ a: 'held', x: 'returning' });
    const left = picture({ nodes: ['a', 'b'], candidates: ['a', 'b'], present });
    assert.deepEqual(nextPermits(left), permits({ a: 'held' }));
  });
});

/** What a controller and its edges go through; edges follow when they like. */
type Event =
  | { what: 'candidates'; nodes: string[] }
  | { what: 'floor'; floor: number }
  | { what: 'accepts'; node: string };

const event: fc.Arbitrary<Event> = fc.oneof(
  fc.subarray(NODES).map((nodes) => ({ what: 'candidates', nodes }) as const),
  fc.nat(6).map((floor) => ({ what: 'floor', floor }) as const),
  ...[1, 2, 3].map(() =>
    fc.constantFrom(...NODES).map((node) => ({ what: 'accepts', node }) as const),
  ),
);

class World {
  floor = 1;
  candidates: string[] = NODES;
  present: Permits = permits({});
  /** What each edge believes: that it may withdraw. */
  readonly believes = new Set<string>();
  readonly settled = new Set<string>();

  live(one: Event): void {
    if (one.what === 'floor') this.floor = one.floor;
    else if (one.what === 'candidates') this.candidates = one.nodes;
    else this.accept(one.node);
  }

  accept(node: string): void {
    if (this.present.holders[node]?.state === 'held') this.believes.add(node);
    else this.believes.delete(node);
    this.settled.add(node);
  }

  /** Writes what is next; whoever that concerns has to accept anew. */
  upkeep(): Permits | null {
    const next = nextPermits({
      floor: this.floor,
      candidates: this.candidates,
      nodes: NODES,
      present: this.present,
      settled: [...this.settled],
    });
    if (next === null) return null;
    this.present = next;
    this.settled.clear();
    return next;
  }

  most(): number {
    return Math.max(0, this.candidates.length - this.floor);
  }
}

test('nobody who may withdraw is unknown, and no permit is handed out beyond what there may be', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), (events) => {
      const world = new World();
      for (const one of events) {
        world.live(one);
        const before = world.present;
        const next = world.upkeep();
        const out = Object.keys(world.present.holders);
        for (const node of world.believes) assert.ok(out.includes(node), `${node} is forgotten`);
        assert.ok(held(world.present).length <= world.most());
        const handedOut = out.filter((node) => before.holders[node] === undefined);
        if (handedOut.length > 0) assert.ok(out.length <= world.most(), 'too many are out');
        if (next !== null) {
          const lost = held(before).filter((node) => !held(next).includes(node));
          const needed = held(before).filter((node) => world.candidates.includes(node));
          const moved = lost.filter((node) => world.candidates.includes(node));
          assert.equal(moved.length, Math.max(0, needed.length - world.most()), 'moved in vain');
        }
      }
    }),
    { numRuns: 2000 },
  );
});

test('once all edges follow, it rests, with every permit handed out that there may be', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 20 }), (events) => {
      const world = new World();
      for (const one of events) {
        world.live(one);
        world.upkeep();
      }
      for (let round = 0; round < 4; round += 1) {
        for (const node of NODES) world.accept(node);
        world.upkeep();
      }
      assert.equal(world.upkeep(), null);
      assert.equal(held(world.present).length, world.most());
      assert.equal(Object.keys(world.present.holders).length, world.most());
    }),
    { numRuns: 1000 },
  );
});
