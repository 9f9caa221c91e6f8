import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SHARD_COUNT } from '../model/ids';
import { assign } from './assign';
import { ownerOf, shardsOf } from './map';
import {
  ALARM_AFTER_MS,
  ANSWER_COUNTS_MS,
  ASK_EVERY_MS,
  type Due,
  type Facts,
  JOIN_SETTLES_MS,
  type Plan,
  Planner,
  REBALANCE_AFTER_MS,
  TURN_MS,
} from './planner';
import type { Hint, Registration } from './types';

const weights = new Array<number>(SHARD_COUNT).fill(1);

const registration = (id: string, more: Partial<Registration> = {}): Registration => ({
  id,
  boot: `${id}-boot`,
  weight: 1,
  draining: false,
  edgeAddress: `${id}:7700`,
  gossipAddress: `${id}:7701`,
  adminAddress: null,
  ...more,
});

const registered = (...ids: string[]): Registration[] => ids.map((id) => registration(id));

const mapOf = (...ids: string[]) =>
  assign(null, registered(...ids), weights) ?? assert.fail('there are members');

const alive: Hint = { state: 'alive', confirmations: 0 };
const suspect: Hint = { state: 'suspect', confirmations: 1 };
const dead = (confirmations: number): Hint => ({ state: 'dead', confirmations });
const missed = (count: number, askedAtMs = 0) => ({ boot: 'c3-boot', missed: count, askedAtMs });

const facts = (more: Partial<Facts> = {}): Facts => ({
  self: 'c1',
  fresh: true,
  map: mapOf('c1', 'c2', 'c3'),
  registrations: registered('c1', 'c2', 'c3'),
  hints: new Map(),
  leases: new Map(),
  shardWeights: weights,
  ...more,
});

const acts = ({ due }: Plan): string[] =>
  due.map((each) => ('controller' in each ? `${each.act} ${each.controller}` : each.act));

const proposed = ({ due }: Plan): Extract<Due, { act: 'propose' }> | undefined =>
  due.find((each) => each.act === 'propose');

/** docs/notes/cluster.md, "The map": what SWIM says of c3, what its lease is, and what is done. */
const TABLE: {
  swim: string;
  lease: string;
  hint: Hint | null;
  known?: ReturnType<typeof missed>;
  more?: Partial<Facts>;
  done: string[];
  warm: boolean;
}[] = [
  { swim: 'alive', lease: 'alive', hint: alive, done: [], warm: false },
  { swim: 'nothing', lease: 'alive', hint: null, done: [], warm: false },
  { swim: 'suspect', lease: 'alive', hint: suspect, done: [], warm: true },
  { swim: 'dead, by one', lease: 'alive', hint: dead(1), done: [], warm: true },
  { swim: 'dead, by two', lease: 'not asked yet', hint: dead(2), done: ['ask c3'], warm: true },
  {
    swim: 'dead, by two',
    lease: 'a keepalive missed',
    hint: dead(2),
    known: missed(1),
    done: ['revoke c3'],
    warm: true,
  },
  {
    swim: 'dead, by two',
    lease: 'fresh, asked just now',
    hint: dead(2),
    known: missed(0),
    done: [],
    warm: true,
  },
  {
    swim: 'dead, by two',
    lease: 'that of a former run was missed',
    hint: dead(2),
    known: { ...missed(9), boot: 'another' },
    done: ['ask c3'],
    warm: true,
  },
  {
    swim: 'alive',
    lease: 'gone',
    hint: alive,
    more: { registrations: registered('c1', 'c2') },
    done: ['propose'],
    warm: true,
  },
  {
    swim: 'dead, by two',
    lease: 'gone',
    hint: dead(2),
    more: { registrations: registered('c1', 'c2') },
    done: ['propose'],
    warm: true,
  },
  {
    swim: 'dead, by two',
    lease: 'a keepalive missed, but etcd is without quorum',
    hint: dead(2),
    known: missed(3),
    more: { fresh: false },
    done: [],
    warm: false,
  },
];

for (const { swim, lease, hint, known, more, done, warm } of TABLE) {
  test(`SWIM says ${swim}, its lease is ${lease}: ${done.join(', ') || 'nothing'}`, () => {
    const plan = new Planner().look(
      facts({
        hints: new Map(hint ? [['c3', hint]] : []),
        leases: new Map(known ? [['c3', known]] : []),
        ...more,
      }),
      0,
    );
    assert.deepEqual(acts(plan), done);
    const inDoubt = shardsOf(mapOf('c1', 'c2', 'c3'), 'c3');
    assert.deepEqual([...plan.heirs.keys()], warm ? inDoubt : []);
    const next = proposed(plan)?.map;
    // Whoever warmed up is whom the next map names.
    if (next) for (const [shard, heir] of plan.heirs) assert.equal(ownerOf(next, shard), heir);
  });
}

test('a lease that is kept is asked for again and again, and told of', () => {
  const planner = new Planner();
  const hints = new Map([['c3', dead(2)]]);
  assert.deepEqual(acts(planner.look(facts({ hints }), 0)), ['ask c3']);
  const leases = new Map([['c3', missed(0, 10)]]);
  const next = planner.look(facts({ hints, leases }), 20);
  assert.deepEqual([acts(next), next.nextMs], [[], 10 + ASK_EVERY_MS]);
  assert.deepEqual(acts(planner.look(facts({ hints, leases }), 10 + ASK_EVERY_MS)), ['ask c3']);
  const late = planner.look(facts({ hints, leases }), ALARM_AFTER_MS);
  assert.deepEqual(acts(late), ['alarm c3', 'ask c3']);
  assert.deepEqual(acts(planner.look(facts({ hints: new Map([['c3', alive]]) }), 3_000)), []);
  const again = new Map([['c3', dead(1)]]);
  assert.deepEqual(acts(planner.look(facts({ hints: again }), 4_000)), [], 'counted anew');
});

test('what etcd said of a lease before is no reason to revoke it now', () => {
  const planner = new Planner();
  const leases = new Map([['c3', missed(2, 0)]]);
  const dies = facts({ hints: new Map([['c3', dead(2)]]), leases });
  assert.deepEqual(acts(planner.look(dies, ANSWER_COUNTS_MS - 1)), ['revoke c3']);
  // It was alive after all, and gossip loses it again much later.
  planner.look(facts({ hints: new Map([['c3', alive]]), leases }), ANSWER_COUNTS_MS);
  assert.deepEqual(acts(planner.look(dies, 60_000)), ['ask c3']);
});

test('of two controllers one alone revokes nothing, whatever it believes', () => {
  const map = mapOf('c1', 'c3');
  const plan = new Planner().look(
    facts({
      map,
      registrations: registered('c1', 'c3'),
      hints: new Map([['c3', dead(1)]]),
      leases: new Map([['c3', missed(8)]]),
    }),
    0,
  );
  assert.deepEqual(acts(plan), []);
});

test('the first one alone owns all, at once', () => {
  const plan = new Planner().look(facts({ map: null, registrations: registered('c1') }), 0);
  assert.equal(proposed(plan)?.why, 'first');
  assert.equal(shardsOf(proposed(plan)!.map, 'c1').length, SHARD_COUNT);
});

test('who has the lowest id proposes first, the others a little later, the doubtful count for nothing', () => {
  const registrations = registered('c1', 'c2', 'c4');
  const at = (self: string, hints: [string, Hint][] = []): number | null => {
    const plan = new Planner().look(facts({ self, registrations, hints: new Map(hints) }), 1_000);
    return proposed(plan) ? 1_000 : plan.nextMs;
  };
  assert.equal(at('c1'), 1_000);
  assert.equal(at('c2'), 1_000 + TURN_MS);
  assert.equal(at('c4'), 1_000 + 2 * TURN_MS);
  assert.equal(at('c4', [['c1', suspect]]), 1_000 + TURN_MS);
});

test('those that come together are waited for, once', () => {
  const planner = new Planner();
  const joined = facts({ registrations: registered('c1', 'c2', 'c3', 'c4') });
  const waits = planner.look(joined, 0);
  assert.deepEqual([acts(waits), waits.nextMs], [[], JOIN_SETTLES_MS]);
  const both = facts({ registrations: registered('c1', 'c2', 'c3', 'c4', 'c5') });
  assert.deepEqual(acts(planner.look(both, JOIN_SETTLES_MS - 1)), []);
  const map = proposed(planner.look(both, JOIN_SETTLES_MS))!.map;
  assert.deepEqual(
    map.members.map(({ id }) => id),
    ['c1', 'c2', 'c3', 'c4', 'c5'],
  );
  assert.deepEqual(acts(planner.look({ ...both, map }, JOIN_SETTLES_MS + 1)), [], 'done');
});

test('a proposal that comes to nothing is made again', () => {
  const planner = new Planner();
  const gone = facts({ registrations: registered('c1', 'c2') });
  const first = planner.look(gone, 0);
  assert.deepEqual(acts(first), ['propose']);
  assert.ok(first.nextMs !== null);
  assert.deepEqual(acts(planner.look(gone, first.nextMs)), ['propose']);
});

test('one that drains is given nothing, unless all do', () => {
  const draining = registration('c2', { draining: true });
  const [one, three] = [registration('c1'), registration('c3')];
  const plan = new Planner().look(facts({ registrations: [one, draining, three] }), 0);
  assert.equal(proposed(plan)?.why, 'draining');
  assert.deepEqual(shardsOf(proposed(plan)!.map, 'c2'), []);
  const all = [one, draining, three].map((each) => ({ ...each, draining: true }));
  assert.deepEqual(acts(new Planner().look(facts({ registrations: all }), 0)), []);
});

test('one that drains owns again what the last other one leaves as it dies', () => {
  const map = mapOf('c1', 'c3');
  const left = [registration('c2', { draining: true })];
  const plan = new Planner().look(facts({ self: 'c2', map, registrations: left }), 0);
  assert.equal(proposed(plan)?.why, 'gone');
  const next = proposed(plan)!.map;
  assert.equal(shardsOf(next, 'c2').length, SHARD_COUNT);
  // Until somebody comes who stays.
  const both = [...left, registration('c4')];
  const after = new Planner().look(facts({ self: 'c2', map: next, registrations: both }), 0);
  assert.equal(proposed(after)?.why, 'draining');
  assert.deepEqual(shardsOf(proposed(after)!.map, 'c2'), []);
});

test('a map that has become uneven is evened out, but not at once', () => {
  const planner = new Planner();
  const heavy = new Set(shardsOf(mapOf('c1', 'c2', 'c3'), 'c1').slice(0, 40));
  const uneven = weights.map((weight, shard) => (heavy.has(shard) ? 9 : weight));
  const first = planner.look(facts({ shardWeights: uneven }), 0);
  assert.deepEqual([acts(first), first.nextMs], [[], REBALANCE_AFTER_MS]);
  const later = proposed(planner.look(facts({ shardWeights: uneven }), REBALANCE_AFTER_MS));
  assert.equal(later?.why, 'weights');
});
