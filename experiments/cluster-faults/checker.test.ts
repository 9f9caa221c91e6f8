import assert from 'node:assert/strict';
import { test } from 'node:test';
import { INVARIANTS, type Invariant, check } from './checker';
import type { Apply, Entry, HistoryEvent } from './history';

const fence = (ownerRevision: number, clusterIncarnation = 1) => ({
  clusterIncarnation,
  shard: 7,
  ownerRevision,
});
const accepted = (revision: number, owner: number, incarnation = 1): HistoryEvent => ({
  kind: 'accepted',
  edge: 'edge-1',
  revision,
  fence: fence(owner, incarnation),
});
const apply = (marker: number, outcome: Apply['outcome'], revision = 0): HistoryEvent => ({
  kind: 'apply',
  edge: 'edge-1',
  controller: 'ctl-1',
  marker,
  beganMs: 0,
  outcome,
  revision,
  said: '',
});
const found = (marker: number): HistoryEvent => ({ kind: 'found', edge: 'edge-1', marker });
const fault = (phase: 'begins' | 'ends'): HistoryEvent => ({
  kind: 'fault',
  number: 1,
  fault: 'controllerKilled',
  phase,
});
const healed = (recoveryMs: number | null): HistoryEvent => ({
  kind: 'healed',
  number: 1,
  fault: 'controllerKilled',
  recoveryMs,
  missing: recoveryMs === null ? 'edge-1 has another MTU' : '',
});
const path = (present: boolean): HistoryEvent => ({
  kind: 'path',
  prefix: '198.51.100.53/32',
  via: 'router-1',
  present,
});
const unheard = (heard: number, held: number): HistoryEvent => ({
  kind: 'unheard',
  edge: 'edge-1',
  heard: fence(heard),
  held: fence(held),
});

const obeys = (controller: string, owner: number): HistoryEvent => ({
  kind: 'obeys',
  edge: 'edge-1',
  controller,
  fence: fence(owner),
});
const wrote = (revision: number): HistoryEvent => ({
  kind: 'wrote',
  controller: 'ctl-1',
  revision,
  token: 11,
});

const historyOf = (events: readonly HistoryEvent[]): Entry[] =>
  events.map((event, i) => ({ ...event, atMs: i * 100 }));
const broken = (events: readonly HistoryEvent[]): Invariant[] =>
  check(historyOf(events)).map(({ invariant }) => invariant);

/** An owner dies, another one takes over, the old one wakes and is not heard. */
const GOOD: readonly HistoryEvent[] = [
  path(true),
  apply(1300, 'accepted', 10),
  obeys('ctl-1', 5),
  accepted(10, 5),
  fault('begins'),
  apply(1301, 'unknown'),
  apply(1302, 'refused'),
  apply(1303, 'accepted', 12),
  obeys('ctl-2', 11),
  accepted(12, 11),
  unheard(5, 11),
  obeys('ctl-2', 11),
  { kind: 'refused', controller: 'ctl-1', shard: 7, token: 5, by: 'etcd' },
  wrote(9),
  fault('ends'),
  apply(1304, 'accepted', 14),
  accepted(14, 11),
  healed(900),
  found(1304),
];

test('a history in which all went well has no violation', () => {
  assert.deepEqual(check(historyOf(GOOD)), []);
  assert.deepEqual(check([]), []);
});

test('what the client was told to be unknown may show, before or after', () => {
  assert.deepEqual(broken([...GOOD.slice(0, -1), found(1301)]), []);
});

test('what was unknown long before the newest began may not show any more', () => {
  const of = (beganMs: number): Invariant[] => {
    const newest = { ...apply(1304, 'accepted', 14), beganMs } as Apply;
    const events: HistoryEvent[] = [apply(1301, 'unknown'), newest, found(1301)];
    return check(events.map((event, i) => ({ ...event, atMs: i * beganMs }))).map(
      ({ invariant }) => invariant,
    );
  };
  assert.deepEqual(of(30_000), []);
  assert.deepEqual(of(90_000), ['applied']);
});

test('a new incarnation of the cluster may begin with lower numbers', () => {
  assert.deepEqual(broken([...GOOD, accepted(3, 2, 2)]), []);
});

const BAD: Record<string, { events: readonly HistoryEvent[]; breaks: readonly Invariant[] }> = {
  'a token goes down': { events: [accepted(10, 5), accepted(11, 4)], breaks: ['tokens'] },
  'a token goes down with the incarnation': {
    events: [accepted(10, 5, 2), accepted(11, 9, 1)],
    breaks: ['tokens'],
  },
  'a former owner is obeyed after a newer one was heard of': {
    events: [accepted(10, 5), unheard(5, 11), accepted(11, 6)],
    breaks: ['stale'],
  },
  'a former owner is obeyed again': {
    events: [obeys('ctl-1', 5), obeys('ctl-2', 11), obeys('ctl-1', 5)],
    breaks: ['tokens'],
  },
  'a former owner is obeyed under the token of another': {
    events: [obeys('ctl-1', 5), obeys('ctl-2', 11), obeys('ctl-1', 11)],
    breaks: ['tokens'],
  },
  'a former owner writes': { events: [wrote(12)], breaks: ['stale'] },
  'an owner is not heard though it is no older': { events: [unheard(11, 11)], breaks: ['stale'] },
  'an older spec comes back': { events: [accepted(12, 5), accepted(11, 5)], breaks: ['stale'] },
  'an accepted spec never reaches the kernel': {
    events: [apply(1300, 'accepted', 10), apply(1301, 'accepted', 12), found(1300)],
    breaks: ['applied'],
  },
  'a refused one does': {
    events: [apply(1300, 'accepted', 10), apply(1301, 'refused'), found(1301)],
    breaks: ['applied'],
  },
  'what another edge was told shows': {
    events: [apply(1300, 'accepted', 10), found(1299)],
    breaks: ['applied'],
  },
  'a prefix is withdrawn': { events: [path(true), path(false), path(true)], breaks: ['withdrawn'] },
  'it does not heal': { events: [fault('begins'), fault('ends'), healed(null)], breaks: ['heals'] },
  'nobody looked whether it heals': { events: [fault('begins'), fault('ends')], breaks: ['heals'] },
  'a process ends': { events: [{ kind: 'crashed', process: 'ctl-1' }], breaks: ['crashes'] },
};

for (const [name, { events, breaks }] of Object.entries(BAD)) {
  test(`told: ${name}`, () => assert.deepEqual(broken(events), breaks));
}

test('every invariant has a history that breaks it', () => {
  const all = Object.values(BAD).flatMap(({ breaks }) => breaks);
  assert.deepEqual([...new Set(all)].sort(), Object.keys(INVARIANTS).sort());
});

test('a violation names the fault that was under way', () => {
  const events = [path(true), fault('begins'), path(false), fault('ends'), healed(1)];
  assert.deepEqual(
    check(historyOf(events)).map(({ fault: number, atMs }) => [number, atMs]),
    [[1, 200]],
  );
});
