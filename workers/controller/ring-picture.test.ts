import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyValue } from '../../adapters/etcd/port';
import { SHARD_COUNT } from '../../core/model/ids';
import { keys } from '../../core/model/keys';
import { valueText } from '../../core/model/values';
import { assign } from '../../core/ring/assign';
import { Planner } from '../../core/ring/planner';
import { RingPicture } from './ring-picture';

const WEIGHTS = Array.from({ length: SHARD_COUNT }, () => 1);
const UNREADABLE = '{"boot":7}';

let revision = 10;
const entry = (key: string, value: string): KeyValue => ({
  key,
  value: Buffer.from(value),
  createRevision: ++revision,
  modRevision: revision,
  version: 1,
  leaseId: '7',
});
const controller = (id: string): KeyValue =>
  entry(
    keys.controller(id),
    valueText({
      boot: `${id}-boot`,
      weight: 1,
      draining: false,
      edgeAddress: `${id}:7700`,
      gossipAddress: null,
      adminAddress: null,
    }),
  );
const ids = ['c1', 'c2', 'c3'];
const mapOf = (members: readonly string[]): KeyValue => {
  const wanted = members.map((id) => ({ id, weight: 1 }));
  return entry(keys.ring, valueText(assign(null, wanted, WEIGHTS) ?? assert.fail()));
};

const picture = (...entries: KeyValue[]): RingPicture => {
  const made = new RingPicture();
  made.apply({ kind: 'snapshot', revision, entries });
  return made;
};

/** What c1 would do about it, now and later. */
function due(seen: RingPicture): string[] {
  const planner = new Planner();
  const facts = {
    self: 'c1',
    fresh: !seen.mapUnread,
    map: seen.map?.ring ?? null,
    registrations: seen.candidates(),
    hints: new Map(),
    leases: new Map(),
    shardWeights: WEIGHTS,
  };
  return [0, 60_000].flatMap((nowMs) => planner.look(facts, nowMs).due.map(({ act }) => act));
}

test('a controller whose key can not be read stays the member that the map says, and comes in by others', () => {
  const [c1, c2] = [controller('c1'), controller('c2')];
  const unread = entry(keys.controller('c3'), UNREADABLE);
  assert.deepEqual(due(picture(c1, c2, controller('c3'), mapOf(ids))), []);
  const seen = picture(c1, c2, unread, mapOf(ids));
  assert.deepEqual([...seen.problems.keys()], [unread.key]);
  assert.deepEqual(due(seen), []);
  // It takes itself out and in again: nobody who can't read it undoes that.
  assert.deepEqual(due(picture(c1, c2, unread, mapOf(['c1', 'c2']))), []);
  // With its lease its key is gone.
  seen.apply({ kind: 'delete', key: unread.key, modRevision: ++revision });
  assert.deepEqual(due(seen), ['propose', 'propose']);
});

test('a map that can not be read is replaced by nobody', () => {
  const seen = picture(...ids.map(controller), entry(keys.ring, '{}'));
  assert.deepEqual(due(seen), []);
  seen.apply({ kind: 'delete', key: keys.ring, modRevision: ++revision });
  assert.deepEqual(due(seen), ['propose', 'propose']);
});

test('what was read stands over a list that is read anew, and goes with its key', () => {
  const seen = picture(
    ...ids.map(controller),
    mapOf(ids),
    entry(keys.owner(7), '{"controller":"c2"}'),
  );
  const epoch = seen.map?.epoch;
  const spoilt = [...ids.map(keys.controller), keys.ring, keys.owner(7)].map((key) =>
    entry(key, '[]'),
  );
  seen.apply({ kind: 'snapshot', revision, entries: spoilt });
  assert.equal(seen.problems.size, 5);
  assert.equal(seen.map?.epoch, epoch);
  assert.deepEqual(
    seen.registrations().map(({ id }) => id),
    ids,
  );
  assert.equal(seen.owned(7)?.controller, 'c2');
  seen.apply({ kind: 'snapshot', revision, entries: [controller('c1')] });
  assert.deepEqual([...seen.problems, seen.map, seen.owned(7)], [null, null]);
  assert.deepEqual(
    seen.registrations().map(({ id }) => id),
    ['c1'],
  );
});
