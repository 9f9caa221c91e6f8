/** Evidence of a region whose edges are at two controllers, by real workflows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../workflows/testing/until';
import { withoutServers } from './testing/cluster';
import { populate, service } from './testing/routing-world';
import { twoControllers } from './testing/two';

const skip = withoutServers;

test(
  'a region fails by what its edges say to two controllers, and not because one of these dies',
  { skip, timeout: 180_000 },
  async (t) => {
    const two = await twoControllers(t, { temporal: true });
    const { cluster, other } = two;
    // Judged by the first, where only half of the region speaks to it.
    const name = two.nameAt('c1', 'dns');
    const [mine, theirs] = [two.nameAt('c1', 'fra'), two.nameAt('c2', 'fra')];
    const backup = two.nameAt('c2', 'ams');
    const regions = [
      { name: 'fra', weight: 1 },
      { name: 'ams', weight: 0 },
    ];
    const dns = service(name, { regions });
    const world = await populate(t, cluster, [mine, theirs, backup], [dns], two.ports);
    await world.announced(name, mine, theirs);
    const told = (id: 'controller' | 'c2') =>
      cluster
        .log(id)
        .split('\n')
        .filter((line) => line.includes('"evidence of a region"'))
        .map((line) => JSON.parse(line) as { region: string; state: string; evidence: string });

    world.edge(theirs).prove(false);
    await until('the judge knows of it', async () => {
      const { edges } = await cluster.admin.describeService(name);
      return edges.find(({ node }) => node === theirs)?.why.includes('the probe fails');
    });
    assert.deepEqual(told('controller'), [], 'the other half serves');
    world.edge(mine).connect(false);
    await world.announced(name, backup);
    const progress = await until('traffic has moved', async () => {
      const found = await other.admin.routeProgress(`service/${name}/failover`);
      return found.progress?.state === 'failedOver' ? found.progress : null;
    });
    const [evidence] = told('controller');
    assert.match(evidence?.evidence ?? '', /^sessionsDown; unhealthy; /);
    for (const node of [mine, theirs]) assert.match(evidence?.evidence ?? '', new RegExp(node));
    assert.ok(progress.steps.some(({ what }) => what === 'fra does not serve'));
    assert.deepEqual(told('c2'), [], 'one controller judges');

    // The one that has the whole of the other region's streams dies: nothing is known of it for a while.
    await other.stop('SIGKILL');
    await until(
      'its edges are at the other one',
      async () => {
        const { controllers, nodes } = await cluster.admin.status();
        return controllers.length === 1 && nodes?.connected === 3;
      },
      60_000,
    );
    await world.announced(name, backup);
    assert.deepEqual(
      told('controller').filter(({ region }) => region === 'ams'),
      [],
    );
  },
);
