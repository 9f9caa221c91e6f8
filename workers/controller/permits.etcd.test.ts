import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutEtcd } from '../../adapters/etcd/testing';
import { keys } from '../../core/model/keys';
import type { Permits } from '../../core/model/routing';
import { parsePermits, valueText } from '../../core/model/values';
import { until } from '../../workflows/testing/until';
import { readKey } from './desired';
import { type RoutingWorld, routingWorld, service } from './testing/routing-world';

const skip = withoutEtcd;

async function holders(world: RoutingWorld): Promise<Permits['holders']> {
  const stored = readKey(await world.etcd.get(keys.permits('dns')), parsePermits);
  return stored?.value.holders ?? {};
}

const held = async (world: RoutingWorld): Promise<string[]> =>
  Object.entries(await holders(world))
    .filter(([, { state }]) => state === 'held')
    .map(([node]) => node)
    .sort();

const NODES = ['fra-1', 'fra-2', 'fra-3'];
const command = (stance: 'announce' | 'withdraw') =>
  valueText({ command: { stance, reason: 'a test', by: 'tester', atMs: 1 } });

test(
  'as many may withdraw by themselves as the floor leaves, and each edge is told',
  { skip, timeout: 60_000 },
  async (t) => {
    const dns = service('dns', { minAnnouncers: 2 });
    const world = await routingWorld(t, NODES, [dns], { temporal: false });
    await world.announced('dns', ...NODES);
    const [holder] = await until('one permit is out', async () => {
      const out = await held(world);
      return out.length === 1 ? out : null;
    });
    const told = (node: string) => world.edge(node).spec?.services[0]?.permit;
    await until('its edge knows', () => told(holder ?? '') === true);
    assert.equal(NODES.filter(told).length, 1);

    await t.test('one that was used is not taken back', async () => {
      world.edge(holder ?? '').prove(false);
      await world.announced('dns', ...NODES.filter((node) => node !== holder));
      const other = NODES.find((node) => node !== holder) ?? '';
      world.edge(other).prove(false);
      // It holds no permit, so it goes on to announce, as the worst path there is.
      await until('the other one deprefers', async () => {
        const { edges } = await world.cluster.admin.describeService('dns');
        const view = edges.find(({ node }) => node === other);
        return view?.stance === 'deprefer' && view.announced;
      });
      assert.equal(told(other), false);
      world.edge(other).prove(true);
      world.edge(holder ?? '').prove(true);
      await world.announced('dns', ...NODES);
    });

    await t.test('a command takes the place of a permit', async () => {
      const other = NODES.find((node) => node !== holder) ?? '';
      const key = keys.routing(other);
      await world.etcd.write([], [{ op: 'put', key, value: command('withdraw') }]);
      await until('no permit is out any more', async () => {
        const out = Object.keys(await holders(world));
        return out.length === 0;
      });
      assert.equal(NODES.filter(told).length, 0);
      await world.etcd.write([], [{ op: 'put', key, value: command('announce') }]);
      await until('one permit is out again', async () => (await held(world)).length === 1);
    });
  },
);

test(
  'a permit that is called back counts until its holder has heard of it',
  { skip, timeout: 60_000 },
  async (t) => {
    const world = await routingWorld(t, NODES, [service('dns', {})], { temporal: false });
    await until('two permits are out', async () => (await held(world)).length === 2);
    const [gone] = await held(world);
    await until('it knows', () => world.edge(gone ?? '').spec?.services[0]?.permit);
    world.edge(gone ?? '').close();
    await world.cluster.admin.apply([service('dns', { minAnnouncers: 3 })], null);
    await until('the permits are called back', async () => (await held(world)).length === 0);
    await until('what can be given back is', async () => {
      const out = await holders(world);
      return Object.keys(out).join() === gone && out[gone ?? '']?.state === 'returning';
    });
  },
);

test('a restart of the controller moves no permit', { skip, timeout: 60_000 }, async (t) => {
  const world = await routingWorld(t, NODES, [service('dns', {})], { temporal: false });
  await until('two permits are out', async () => (await held(world)).length === 2);
  await world.cluster.stopController('SIGKILL');
  await world.cluster.startController();
  await world.cluster.ready();
  await world.announced('dns', ...NODES);
  // The first thing that it writes is what this asks for.
  await world.cluster.admin.apply([service('dns', { minAnnouncers: 3 })], null);
  await until('all are given back', async () => Object.keys(await holders(world)).length === 0);
  const lines = world.cluster.log('controller').split('"serving"').at(-1)?.split('\n') ?? [];
  const [first] = lines.filter((line) => line.includes('"permits":'));
  const written = (JSON.parse(first ?? '{}') as { permits?: Permits['holders'] }).permits ?? {};
  assert.deepEqual(
    Object.values(written).map(({ state }) => state),
    ['returning', 'returning'],
  );
});
