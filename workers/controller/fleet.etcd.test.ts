/** Two controllers, real etcd: each answers by what the other one's edges say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutEtcd } from '../../adapters/etcd/testing';
import { until } from '../../workflows/testing/until';
import { routingWorld, service } from './testing/routing-world';

const skip = withoutEtcd;

test(
  'a controller answers by the facts of edges that another one holds',
  { skip, timeout: 60_000 },
  async (t) => {
    const world = await routingWorld(t, ['fra-1', 'fra-2'], [service('dns', {})], {
      temporal: false,
    });
    const { cluster } = world;
    const two = await cluster.another('c2');
    await world.announced('dns', 'fra-1', 'fra-2');

    const views = await until('the other one has heard of both', async () => {
      const found = await two.admin.get().catch(() => []);
      return found.length === 2 && found.every(({ connected }) => connected) ? found : null;
    });
    assert.deepEqual(views, await cluster.admin.get());
    const described = await two.admin.describe('fra-1');
    assert.equal(described.edge?.node, 'fra-1', 'the edge itself was asked');
    assert.equal(described.routing.status?.neighbors[0]?.state, 'established');
    assert.deepEqual(
      (await two.admin.getServices())[0]?.announcers,
      (await cluster.admin.getServices())[0]?.announcers,
    );
    const answer = await two.admin.askFilter('fra-1', { kind: 'services' });
    assert.equal(answer.kind, 'services');

    world.edge('fra-1').prove(false);
    await until('news goes on at once', async () => {
      const { edges } = await two.admin.describeService('dns');
      return edges.find(({ node }) => node === 'fra-1')?.why.includes('the probe fails');
    });

    await cluster.stopController('SIGKILL');
    const unheard = await until('its facts are told as old', async () => {
      const [view] = await two.admin.get('fra-1');
      return view?.connected === false ? view : null;
    });
    assert.match(unheard.note ?? '', /^controller c1, which had its stream, is not heard since/);
    await cluster.startController();
    await until('the edges are back', async () => {
      const found = await two.admin.get().catch(() => []);
      return found.every(({ connected }) => connected);
    });
  },
);
