import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ShapeRule } from '../../../core/model/node';
import { waitFor } from '../test-support';
import { FilterEngine } from './engine';
import { HeldSet } from './held-set';
import { pinInfo } from './pins';
import { contentsFor, MemoryBlobs, testEngine, testInterface, verdicts } from './testing/support';

const RULE: ShapeRule = {
  name: 'echo',
  reason: 'flood',
  expiresAtMs: null,
  mode: 'enforce',
  destination: null,
  protocol: 17,
  sourcePort: null,
  destinationPort: { min: 9, max: 9 },
  length: null,
  tcpFlags: null,
  fragment: null,
};
const stateOf = (engine: FilterEngine, name: string) => engine.contents(name, pinInfo(name)).state;
const innerIds = (engine: FilterEngine, name: string): number[] =>
  [0, 1, 2, 3].map((slot) => engine.find(name)!.live!.maps.innerId('sets4', slot));

test('what is wanted before the filter is attached holds from its first packet on', async (t) => {
  const { engine, blobs } = await testEngine(t);
  const { name, index } = await testInterface(t, engine);
  const wanted = contentsFor(name, {
    failsafe: ['198.51.100.7/32', '2001:db8:f::/48'],
    allow: { mode: 'enforce', prefixes: ['198.51.100.8/32'] },
    lists: [blobs.list('bad', ['198.51.100.0/24', '2001:db8:f::/48', '2001:db8:e::/48'])],
    blocks: ['203.0.113.9/32'],
  });
  assert.deepEqual((await engine.setFilters([wanted]))[0]?.error, null);
  await engine.attach(name, index, 'native');
  assert.equal(
    verdicts(name, '198.51.100.6', '198.51.100.7', '198.51.100.8', '203.0.113.9', '203.0.113.8'),
    'drop pass pass drop pass',
  );
  assert.equal(verdicts(name, '2001:db8:e::1', '2001:db8:f::1', '2001:db8:d::1'), 'drop pass pass');
  assert.equal(stateOf(engine, name), 'right');
});

test('a filter that nothing was asked of counts, and drops nothing', async (t) => {
  const { engine } = await testEngine(t);
  const { name, index } = await testInterface(t, engine);
  await engine.attach(name, index, 'native');
  assert.equal(verdicts(name, '198.51.100.6'), 'pass');
  assert.equal(stateOf(engine, name), 'unknown');
});

test('lists, single blocks, rules and limits come and go on a live filter', async (t) => {
  const { engine, blobs } = await testEngine(t);
  const { name, index } = await testInterface(t, engine);
  await engine.attach(name, index, 'native');
  const set = async (changes: Parameters<typeof contentsFor>[1]): Promise<void> => {
    const [outcome] = await engine.setFilters([contentsFor(name, changes)]);
    assert.equal(outcome?.error, null);
    assert.equal(stateOf(engine, name), 'right');
  };
  const seen = (): string => verdicts(name, '198.51.100.6', '203.0.113.9', '2001:db8:e::1');
  const first = blobs.list('bad', ['198.51.100.0/24']);
  await set({ lists: [first] });
  assert.equal(seen(), 'drop pass pass');
  await set({ lists: [first], blocks: ['203.0.113.9/32', '2001:db8:e::/48'] });
  assert.equal(seen(), 'drop drop drop');
  await set({ lists: [first], blocks: ['203.0.113.9/32'], failsafe: ['198.51.100.0/25'] });
  assert.equal(seen(), 'pass drop pass');
  await set({ lists: [{ ...first, mode: 'count' }], blocks: [] });
  assert.equal(seen(), 'pass pass pass');
  await set({ lists: [blobs.list('other', ['2001:db8::/32'])] });
  assert.equal(seen(), 'pass pass drop');
  await set({ rules: { mode: 'enforce', entries: [RULE] } });
  assert.equal(seen(), 'drop drop drop');
  await set({ rules: { mode: 'count', entries: [RULE] } });
  assert.equal(seen(), 'pass pass pass');
  await set({ rateLimit: { mode: 'enforce', packetsPerSecond: 1, burst: 1 } });
  assert.equal(verdicts(name, '198.51.100.1', '198.51.100.1'), 'pass drop');
  await set({});
  assert.equal(verdicts(name, '198.51.100.1', '198.51.100.1'), 'pass pass');
});

test('a block by hand is a few stores into the set that is there', async (t) => {
  const { engine, blobs } = await testEngine(t);
  const { name, index } = await testInterface(t, engine);
  const lists = [blobs.list('bad', ['198.51.100.0/24'])];
  await engine.setFilters([contentsFor(name, { lists })]);
  await engine.attach(name, index, 'native');
  const before = innerIds(engine, name);
  await engine.setFilters([contentsFor(name, { lists, blocks: ['203.0.113.9/32'] })]);
  assert.deepEqual(innerIds(engine, name), before);
  assert.equal(verdicts(name, '203.0.113.9', '198.51.100.6'), 'drop drop');
  await engine.setFilters([contentsFor(name, { lists })]);
  assert.deepEqual(innerIds(engine, name), before);
  assert.equal(verdicts(name, '203.0.113.9', '198.51.100.6'), 'pass drop');
});

test('what is allowed and blocked by hand is edited in place, and what is spared before and after, between', async (t) => {
  const { engine } = await testEngine(t);
  const { name, index } = await testInterface(t, engine);
  const set = async (blocks: string[], prefixes: string[]): Promise<void> => {
    const allow = { mode: 'enforce' as const, prefixes };
    const [outcome] = await engine.setFilters([contentsFor(name, { blocks, allow })]);
    assert.equal(outcome?.error, null);
    assert.equal(stateOf(engine, name), 'right');
  };
  await engine.attach(name, index, 'native');
  await set(['192.0.2.7/32'], []);
  const before = innerIds(engine, name);
  const between: string[] = [];
  const { edit } = HeldSet.prototype;
  t.after(() => void (HeldSet.prototype.edit = edit));
  HeldSet.prototype.edit = function (...args) {
    const edited = edit.apply(this, args);
    between.push(verdicts(name, '203.0.113.9', '2001:db8:e::9'));
    return edited;
  };
  // Each of these spares both sources, but each in another way.
  const both = ['203.0.113.9/32', '2001:db8:e::/48'];
  await set(both, ['203.0.113.0/24', '2001:db8:e::/48']);
  await set(['203.0.113.0/24', '2001:db8::/32'], ['2001:db8:e::9/128', ...both]);
  await set(['192.0.2.7/32'], ['192.0.2.1/32']);
  await set(both, both);
  await set([], []);
  assert.ok(between.length >= 8, `${between.length} edits`);
  assert.deepEqual(new Set(between), new Set(['pass pass']));
  await set(both, []);
  assert.equal(verdicts(name, '203.0.113.9', '2001:db8:e::9'), 'drop drop');
  await set(both, ['192.0.2.0/24', '203.0.113.9/32']);
  assert.equal(verdicts(name, '203.0.113.9', '2001:db8:e::9'), 'pass drop');
  assert.deepEqual(innerIds(engine, name), before);
});

test('interfaces with the same lists share their sets', async (t) => {
  const { engine, blobs } = await testEngine(t);
  const [a, b] = [await testInterface(t, engine), await testInterface(t, engine)];
  const lists = [blobs.list('bad', ['198.51.100.0/24'])];
  const both = (blocks: string[]) => [a, b].map(({ name }) => contentsFor(name, { lists, blocks }));
  await engine.setFilters(both([]));
  for (const { name, index } of [a, b]) await engine.attach(name, index, 'native');
  assert.deepEqual(innerIds(engine, a.name), innerIds(engine, b.name));
  await engine.setFilters(both(['203.0.113.9/32']));
  for (const { name } of [a, b]) assert.equal(verdicts(name, '203.0.113.9'), 'drop');
  assert.deepEqual(innerIds(engine, a.name), innerIds(engine, b.name));
  await engine.setFilters([both([])[0]!, both(['203.0.113.9/32'])[1]!]);
  assert.equal(verdicts(a.name, '203.0.113.9'), 'pass');
  assert.equal(verdicts(b.name, '203.0.113.9'), 'drop');
});

test('a list that is missing or damaged changes nothing, and says so', async (t) => {
  const { engine, blobs } = await testEngine(t);
  const { name, index } = await testInterface(t, engine);
  const good = blobs.list('bad', ['198.51.100.0/24']);
  await engine.setFilters([contentsFor(name, { lists: [good] })]);
  await engine.attach(name, index, 'native');
  const absent = { ...good, sha256: 'ab'.repeat(32) };
  const [missing] = await engine.setFilters([contentsFor(name, { lists: [absent] })]);
  assert.match(missing?.error ?? '', /blob abababababab is not here/);
  blobs.blobs.set(absent.sha256, Buffer.from('no list at all'));
  const [damaged] = await engine.setFilters([contentsFor(name, { lists: [absent] })]);
  assert.match(damaged?.error ?? '', /is no list of Aether/);
  assert.equal(verdicts(name, '198.51.100.6'), 'drop');
  assert.equal(stateOf(engine, name), 'right');
});

test('an agent that comes after another adopts what is pinned, and edits it', async (t) => {
  const { engine, blobs } = await testEngine(t);
  const { name, index } = await testInterface(t, engine);
  const lists = [blobs.list('bad', ['198.51.100.0/24', '2001:db8:e::/48'])];
  const wanted = contentsFor(name, { lists, failsafe: ['198.51.100.7/32'] });
  await engine.setFilters([wanted]);
  await engine.attach(name, index, 'native');
  const ids = innerIds(engine, name);
  engine.close();
  const next = await FilterEngine.open(blobs);
  t.after(() => next.close());
  assert.equal((await next.setFilters([wanted]))[0]?.error, null);
  assert.deepEqual(innerIds(next, name), ids);
  assert.equal(stateOf(next, name), 'right');
  await next.setFilters([{ ...wanted, blocks: ['203.0.113.9/32', '2001:db8:d::/48'] }]);
  assert.deepEqual(innerIds(next, name), ids);
  assert.equal(
    verdicts(name, '203.0.113.9', '2001:db8:d::1', '2001:db8:e::1', '198.51.100.7', '198.51.100.6'),
    'drop drop drop pass drop',
  );
});

test('what was edited while no agent lived is built anew', async (t) => {
  const { engine, blobs } = await testEngine(t);
  const { name, index } = await testInterface(t, engine);
  const wanted = contentsFor(name, { lists: [blobs.list('bad', ['198.51.100.0/24'])] });
  await engine.setFilters([wanted]);
  await engine.attach(name, index, 'native');
  const { maps } = engine.find(name)!.live!;
  await waitFor('the signature', () => maps.config.subarray(80).some((byte) => byte !== 0));
  const ids = innerIds(engine, name);
  engine
    .find(name)!
    .live!.loaded!.sets.block!.map(4)!
    .write([{ word: 1024, low: 0, high: 5 }]);
  engine.close();
  const next = await FilterEngine.open(blobs);
  t.after(() => next.close());
  await next.setFilters([wanted]);
  assert.notDeepEqual(innerIds(next, name), ids);
  assert.equal(verdicts(name, '198.51.100.6'), 'drop');
});

test('a program is replaced with its lists kept, whether they are known or not', async (t) => {
  const { engine, blobs } = await testEngine(t);
  const { name, index } = await testInterface(t, engine);
  await engine.setFilters([contentsFor(name, { lists: [blobs.list('bad', ['198.51.100.0/24'])] })]);
  await engine.attach(name, index, 'native');
  const { programId } = pinInfo(name)!;
  await engine.replace(name);
  assert.notEqual(pinInfo(name)!.programId, programId);
  assert.equal(stateOf(engine, name), 'right');
  const stranger = await FilterEngine.open(new MemoryBlobs());
  t.after(() => stranger.close());
  await stranger.replace(name);
  assert.equal(verdicts(name, '198.51.100.6'), 'drop');
});
