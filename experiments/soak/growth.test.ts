import assert from 'node:assert/strict';
import { it } from 'node:test';
import { exampleNode } from '../../lab/testing';
import { isMet } from '../common/figures';
import { chance, nextRound } from './chance';
import { growth } from './growth';
import type { ProcessSnapshot, Snapshot } from './watch';

const COUNT = 12;

/** Snapshot `i` of twelve, of one agent. */
function snapshots(of: (i: number) => Partial<ProcessSnapshot>, events = 100): Snapshot[] {
  return Array.from({ length: COUNT }, (_, i) => ({
    atS: i,
    processes: { agent: { pid: 7, residentMb: 100, descriptors: 30, namespaces: 2, ...of(i) } },
    history: { events, bytes: events * 200 },
  }));
}

const missed = (all: Snapshot[]): string[] =>
  growth(all).flatMap((figure) => (isMet(figure) ? [] : [figure.unit]));

it('what stays as it is passes, also with a warm-up and with noise', () => {
  assert.deepEqual(missed(snapshots(() => ({}))), []);
  assert.deepEqual(missed(snapshots((i) => ({ residentMb: i < 3 ? 50 : 100 + (i % 2) * 10 }))), []);
});

it('each kind of growth is seen', () => {
  assert.deepEqual(missed(snapshots((i) => ({ residentMb: 100 + 10 * i }))), ['×']);
  assert.deepEqual(missed(snapshots((i) => ({ descriptors: 30 + i }))), ['descriptors']);
  assert.deepEqual(missed(snapshots((i) => ({ namespaces: i }))), ['namespaces']);
  assert.deepEqual(missed(snapshots((i) => ({ pid: i < 6 ? 7 : 8 }))), ['restarts']);
  assert.deepEqual(missed(snapshots(() => ({}), 30_000)), ['events', 'MB']);
});

it('too few snapshots are no evidence', () => {
  assert.throws(() => growth(snapshots(() => ({})).slice(0, 3)), /3 snapshots show no growth/);
});

it('a seed breaks the same things in the same order', () => {
  const nodes = [exampleNode('a', 1), exampleNode('b', 2)];
  const rounds = (seed: number): unknown[] => {
    const random = chance(seed);
    return Array.from({ length: 50 }, () => nextRound(random, nodes, ['etcd-1']));
  };
  assert.deepEqual(rounds(7), rounds(7));
  assert.notDeepEqual(rounds(7), rounds(8));
  const kinds = new Set(
    (rounds(7) as ReturnType<typeof nextRound>[]).flatMap(({ faults }) => faults),
  );
  assert.ok(kinds.size >= 8, [...kinds].join());
});
