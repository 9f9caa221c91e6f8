/** Packets that passed to a service's addresses, as the engine keeps their counts. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { FilterAnswer, ServiceCount } from '../../../core/filter/questions';
import { native } from '../native';
import { FilterEngine } from './engine';
import { pinInfo, pinPath } from './pins';
import { answer } from './questions';
import { contentsFor, frameFrom, testEngine, testInterface, verdicts } from './testing/support';

/** What `frameFrom` sends to. */
const V4 = '192.0.2.1';
const V6 = '2001:db8::1';

async function servicesOf(engine: FilterEngine): Promise<Map<string, ServiceCount>> {
  const told = (await answer(engine, { kind: 'services' }, async () => 'native')) as Extract<
    FilterAnswer,
    { kind: 'services' }
  >;
  return new Map(told.services.map((count) => [count.address, count]));
}

async function setup(t: TestContext, services: string[]) {
  const { engine } = await testEngine(t);
  const { name, index } = await testInterface(t, engine);
  const set = async (addresses: string[], blocks: string[] = []): Promise<void> => {
    const wanted = contentsFor(name, { services: addresses, blocks });
    assert.equal((await engine.setFilters([wanted]))[0]?.error, null);
  };
  await set(services);
  await engine.attach(name, index, 'native');
  return { engine, name, index, set };
}

test('what passes to an address of a service is counted; what is dropped, or goes elsewhere, is not', async (t) => {
  const { engine, name, set } = await setup(t, [V4, V6, '192.0.2.2']);
  verdicts(name, '198.51.100.1', '198.51.100.1', '2001:db8:e::1');
  const bytes = frameFrom('198.51.100.1').length;
  let counts = await servicesOf(engine);
  assert.deepEqual(counts.get(V4), { address: V4, packets: 2, bytes: 2 * bytes });
  assert.equal(counts.get(V6)?.packets, 1);
  assert.equal(counts.get('192.0.2.2')?.packets, 0);

  await set([V4, V6, '192.0.2.2'], ['198.51.100.1/32']);
  assert.equal(verdicts(name, '198.51.100.1', '198.51.100.2'), 'drop pass');
  counts = await servicesOf(engine);
  assert.equal(counts.get(V4)?.packets, 3);
});

test('an address that stays goes on being counted while others come and go', async (t) => {
  const { engine, name, set } = await setup(t, [V4]);
  verdicts(name, '198.51.100.1');
  await set([V4, V6]);
  verdicts(name, '198.51.100.1', '2001:db8:e::1');
  assert.equal((await servicesOf(engine)).get(V4)?.packets, 2);
  await set([V6]);
  verdicts(name, '198.51.100.1', '2001:db8:e::1');
  const counts = await servicesOf(engine);
  assert.deepEqual([...counts.keys()], [V6]);
  assert.equal(counts.get(V6)?.packets, 2);
  await set([]);
  assert.equal((await servicesOf(engine)).size, 0);
});

test('interfaces count together, and an agent that comes after goes on', async (t) => {
  const { engine, name } = await setup(t, [V4]);
  const other = await testInterface(t, engine);
  const all = [name, other.name].map((each) => contentsFor(each, { services: [V4] }));
  await engine.setFilters(all);
  await engine.attach(other.name, other.index, 'native');
  verdicts(name, '198.51.100.1');
  verdicts(other.name, '198.51.100.1', '198.51.100.1');
  assert.equal((await servicesOf(engine)).get(V4)?.packets, 3);

  engine.close();
  const next = await FilterEngine.open();
  t.after(() => next.close());
  await next.setFilters(all);
  assert.equal((await servicesOf(next)).get(V4)?.packets, 3);
  assert.equal(next.contents(name, pinInfo(name)).state, 'right');
});

test('an address that somebody takes away is seen, and comes back', async (t) => {
  const { engine, name } = await setup(t, [V4]);
  assert.equal(engine.contents(name, pinInfo(name)).state, 'right');
  const map = native.BpfMap.open(pinPath(name, 'services4'));
  map.delete(Uint8Array.from([192, 0, 2, 1]));
  map.close();
  assert.deepEqual(engine.contents(name, pinInfo(name)), {
    state: 'edited',
    detail: 'the counted services have been changed',
  });
  await engine.reload(name);
  assert.equal(engine.contents(name, pinInfo(name)).state, 'right');
  verdicts(name, '198.51.100.1');
  assert.equal((await servicesOf(engine)).get(V4)?.packets, 1);
});
