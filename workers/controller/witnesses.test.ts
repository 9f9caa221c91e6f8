import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shardOf } from '../../core/ring/shard';
import type { EdgeView } from './fleet';
import { RETURN_MS, Witnesses, type WitnessesDependencies } from './witnesses';

const NODE = 'fra-1';
const SHARD = shardOf(NODE);

const view = (over: Partial<EdgeView>): EdgeView => ({
  connected: true,
  at: 'c2',
  stream: 's',
  connectedAgoMs: 0,
  unheardForMs: null,
  appliedHash: '',
  open: null,
  refused: null,
  seenAgoMs: 1_000,
  routing: null,
  ...over,
});

/** One node, seen by c1; the test says how the world is. */
function world() {
  const state = {
    controllers: ['c1', 'c2'],
    owner: 'c2' as string | null,
    revision: 1,
    heardSinceMs: 0 as number | null,
    view: null as EdgeView | null,
  };
  const desired = {
    shards: () => [SHARD],
    inShard: () => [NODE],
    inputs: () => ({ node: null }),
    owner: () =>
      state.owner === null
        ? null
        : { value: { controller: state.owner }, revision: state.revision },
    controllers: () => state.controllers.map((id) => [id, {}]),
  } as unknown as WitnessesDependencies['desired'];
  const witnesses = new Witnesses({
    self: 'c1',
    desired,
    shards: { holds: () => state.owner === 'c1' },
    edges: { get: () => state.view },
    peers: { heardSinceMs: () => state.heardSinceMs },
  });
  return {
    state,
    at: (nowMs: number) => {
      const [witness] = witnesses.all(nowMs);
      return [witness?.goneForMs, witness?.unheard];
    },
  };
}

test('a stream that is up anywhere is up', () => {
  const { state, at } = world();
  state.view = view({});
  assert.deepEqual(at(5_000), [null, false]);
  // Whoever owns its shard: a guest is heard as well.
  state.owner = null;
  assert.deepEqual(at(5_000), [null, false]);
});

test('an edge whose controller is not heard is not gone, however long', () => {
  const { state, at } = world();
  state.view = view({});
  at(1_000);
  state.view = view({ connected: false, unheardForMs: 5_000, seenAgoMs: 5_000 });
  state.heardSinceMs = null;
  assert.deepEqual(at(5_000), [null, true]);
  assert.deepEqual(at(5_000_000), [null, true]);
});

test('after its controller died, an edge is missed from when its heir had it, and time to return', () => {
  const { state, at } = world();
  state.view = view({ connected: false, unheardForMs: 5_000 });
  state.heardSinceMs = null;
  at(5_000);
  Object.assign(state, { owner: 'c1', revision: 2, controllers: ['c1'] });
  assert.deepEqual(at(8_000), [-RETURN_MS, false]);
  assert.deepEqual(at(9_000), [1_000 - RETURN_MS, false]);
  Object.assign(state, { owner: 'c3', revision: 3, heardSinceMs: 20_000 });
  assert.deepEqual(at(21_000), [-RETURN_MS, false]);
});

test('what ended here is missed at once where there is nobody else to return to', () => {
  const { state, at } = world();
  Object.assign(state, { owner: 'c1', controllers: ['c1'] });
  state.view = view({ at: 'c1' });
  assert.deepEqual(at(1_000), [null, false]);
  state.view = view({ at: 'c1', connected: false });
  assert.deepEqual(at(6_000), [0, false]);
  assert.deepEqual(at(7_000), [1_000, false]);
  state.controllers = ['c1', 'c2'];
  assert.deepEqual(at(7_000), [1_000 - RETURN_MS, false]);
});

test('one that came back and went again is missed from then on, seen between two looks or not', () => {
  const { state, at } = world();
  Object.assign(state, { owner: 'c1', controllers: ['c1'] });
  state.view = view({ at: 'c1', connected: false });
  at(1_000);
  state.view = view({ at: 'c1' });
  assert.deepEqual(at(2_000), [null, false]);
  state.view = view({ at: 'c1', connected: false });
  assert.deepEqual(at(3_000), [0, false]);
  state.view = view({ at: 'c1', connected: false, stream: 'another' });
  assert.deepEqual(at(9_000), [0, false]);
});

test('what wall clocks say of an edge has no part in it', () => {
  const { state, at } = world();
  Object.assign(state, { owner: 'c1', controllers: ['c1'] });
  for (const seenAgoMs of [0, 4_000_000_000_000]) {
    state.view = view({ at: 'c1', stream: `at ${seenAgoMs}`, connected: false, seenAgoMs });
    assert.deepEqual(at(7_000), [0, false]);
    assert.deepEqual(at(9_000), [2_000, false]);
  }
});

test('one that was never heard of is missed from when its shard had an owner that is heard', () => {
  const { state, at } = world();
  assert.deepEqual(at(2_000), [0, false]);
  state.heardSinceMs = null;
  assert.deepEqual(at(3_000), [null, true]);
  state.heardSinceMs = 4_000;
  assert.deepEqual(at(4_500), [0, false]);
});
