/** Many machines over a simulated network (testing.ts): what the cluster as a whole comes to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FAST, LAN } from './profiles';
import { addressOf, CLEAN, type Node, World } from './testing';
import type { MemberState, Profile } from './types';

const seeds = (count: number): { numRuns: number } => ({ numRuns: count });

/** Whoever was taken for dead, by whom; nobody may be that lives. */
const deaths = (nodes: readonly Node[]): string[] =>
  nodes.flatMap((node) =>
    node.seen.flatMap(({ effect }) =>
      effect.kind === 'changed' && effect.member.state === 'dead'
        ? [`${effect.member.name} by ${node.name}`]
        : [],
    ),
  );

const all = (nodes: readonly Node[], of: string, state: MemberState): boolean =>
  nodes.every((node) => node.sees(of)?.state === state);

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;

/** ms until the first other one knows, and all. */
function killed(seed: number, profile: Profile, count: number): { firstMs: number; allMs: number } {
  const world = new World(seed, profile);
  const nodes = world.cluster(count);
  world.run(world.nowMs + world.random() * 10_000);
  const [victim, ...others] = nodes as [Node, ...Node[]];
  const atMs = world.nowMs;
  victim.kill();
  const dead = (node: Node): boolean => node.sees(victim.name)?.state === 'dead';
  assert.ok(world.run(atMs + 60_000, () => others.some(dead)));
  const firstMs = world.nowMs - atMs;
  assert.ok(world.run(atMs + 60_000, () => others.every(dead)));
  return { firstMs, allMs: world.nowMs - atMs };
}

/** The bars of issue 6, without a machine's own delays: these are what the arithmetic allows. */
const BARS = [
  ['fast', FAST, 5, 1_100],
  ['fast', FAST, 20, 1_500],
  ['lan', LAN, 5, 5_000],
  ['lan', LAN, 20, 6_200],
] as const;

for (const [name, profile, count, bar] of BARS) {
  test(`a death is known within ${bar} ms among ${count} by the ${name} profile: median`, () => {
    const runs = Array.from({ length: count > 5 ? 9 : 31 }, (_, seed) =>
      killed(seed, profile, count),
    );
    const medianMs = median(runs.map(({ firstMs }) => firstMs));
    assert.ok(medianMs <= bar, `${medianMs} ms`);
    // Small clusters are told directly: they agree within a packet's way.
    if (count > profile.directTo) return;
    for (const { firstMs, allMs } of runs) assert.ok(allMs - firstMs < 5, `${firstMs} … ${allMs}`);
  });
}

/** How long processes, and whole machines, may stand still: FAST's own comment, and LAN's. */
const PAUSES = [
  ['fast', FAST, 'process', 1_900],
  ['fast', FAST, 'machine', 1_000],
  ['lan', LAN, 'process', 3_000],
  ['lan', LAN, 'machine', 3_000],
] as const;

for (const [name, profile, what, mostMs] of PAUSES) {
  test(`a ${what} that stands still for ${mostMs} ms is nobody's death by the ${name} profile`, () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 300, max: mostMs }), (seed, forMs) => {
        const world = new World(seed, profile);
        const nodes = world.cluster(5);
        world.run(world.nowMs + world.random() * 5_000);
        const [sleeper, ...others] = nodes as [Node, ...Node[]];
        if (what === 'machine') {
          world.cut = (from, to) => from === sleeper.name || to === sleeper.name;
          world.after(forMs, () => (world.cut = () => false));
        }
        sleeper.stop(forMs);
        world.run(world.nowMs + forMs + 3_000);
        assert.deepEqual(deaths(nodes), []);
        assert.ok(all(others, sleeper.name, 'alive'));
        for (const other of others) assert.equal(sleeper.sees(other.name)?.state, 'alive');
        // It wakes and accuses nobody.
        const accused = sleeper.seen.some(
          ({ effect }) => effect.kind === 'changed' && effect.member.state === 'suspect',
        );
        assert.ok(!accused, 'the sleeper accused somebody');
      }),
      seeds(40),
    );
  });
}

test('members over a network that loses and repeats packets agree in the end, and bury nobody', () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.integer({ min: 2, max: 9 }),
      fc.integer({ min: 0, max: 15 }),
      (seed, count, lossPercent) => {
        const world = new World(seed, LAN);
        world.network = { ...CLEAN, loss: lossPercent / 100, repeat: 0.1, maxDelayMs: 20 };
        const nodes = Array.from({ length: count }, (_, i) => world.start(`m${i}`));
        // A chain: each knows one other.
        nodes.slice(1).forEach((node, i) => node.join(nodes[i]?.address ?? node.address));
        const whole = (): boolean =>
          nodes.every(({ name }) => all(nodes, name, 'alive')) &&
          nodes.every(({ state }) => state.members.size === count);
        assert.ok(world.run(120_000, whole), 'they do not agree');
        world.run(world.nowMs + 20_000);
        assert.deepEqual(deaths(nodes), []);
      },
    ),
    seeds(40),
  );
});

test('two halves that do not reach each other find back, and whoever died meanwhile is dead', () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const world = new World(seed, FAST);
      const nodes = world.cluster(6);
      const half = new Set(['m0', 'm1', 'm2']);
      world.cut = (from, to) => half.has(from) !== half.has(to);
      const here = nodes.filter(({ name }) => half.has(name));
      const there = nodes.filter(({ name }) => !half.has(name));
      const parted = (): boolean =>
        here.every((node) => there.every(({ name }) => node.sees(name)?.state === 'dead')) &&
        there.every((node) => here.every(({ name }) => node.sees(name)?.state === 'dead'));
      assert.ok(world.run(world.nowMs + 30_000, parted), 'they still believe in each other');
      const [doomed, ...others] = nodes as [Node, ...Node[]];
      doomed.kill();
      assert.ok(world.run(world.nowMs + 30_000, () => all(here.slice(1), 'm0', 'dead')));
      world.cut = () => false;
      // As the controllers do, again and again, by the addresses in etcd.
      here[1]?.join(there[0]?.address ?? addressOf(0));
      const healed = (): boolean =>
        others.every(({ name }) => all(others, name, 'alive')) && all(others, 'm0', 'dead');
      assert.ok(world.run(world.nowMs + 30_000, healed), 'they do not find back');
    }),
    seeds(25),
  );
});

test('who goes has left at once, for all', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 2, max: 20 }), (seed, count) => {
      const world = new World(seed, FAST);
      const [leaver, ...others] = world.cluster(count) as [Node, ...Node[]];
      leaver.leave();
      assert.ok(
        world.run(world.nowMs + 2_000, () => leaver.hasLeft),
        'it did not end',
      );
      leaver.kill();
      assert.ok(world.run(world.nowMs + 1_000, () => all(others, leaver.name, 'left')));
      world.run(world.nowMs + 5_000);
      assert.deepEqual(deaths(others), []);
    }),
    seeds(25),
  );
});

test('who starts again is known by its new run, at the same address or at another', () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.boolean(),
      fc.integer({ min: 0, max: 5_000 }),
      (seed, moves, afterMs) => {
        const world = new World(seed, FAST);
        const [victim, ...others] = world.cluster(4) as [Node, ...Node[]];
        victim.kill();
        world.run(world.nowMs + afterMs);
        const again = world.start(
          victim.name,
          moves ? addressOf(99) : victim.address,
          'a later run',
        );
        again.join(others[0]?.address ?? again.address);
        const known = (): boolean =>
          others.every((node) => {
            const seen = node.sees(victim.name);
            return (
              seen?.state === 'alive' &&
              seen.address.ip === again.address.ip &&
              seen.meta.length === 'a later run'.length
            );
          });
        assert.ok(world.run(world.nowMs + 20_000, known), 'the new run is not known');
      },
    ),
    seeds(40),
  );
});
