import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { until } from '../../workflows/testing/until';
import { aether } from './testing/cli';
import { withoutServers } from './testing/cluster';
import { bfdSession } from './testing/routing-edge';
import { addressOf, type RoutingWorld, routingWorld, service } from './testing/routing-world';

const skip = withoutServers;
const WITH_TEMPORAL = { temporal: true };
const NODES = ['fra-1', 'fra-2', 'fra-3'];

const worldOf = (t: TestContext, nodes: string[], spec: object): Promise<RoutingWorld> =>
  routingWorld(t, nodes, [service('dns', spec)], WITH_TEMPORAL);

test(
  'a node is quarantined for a while, or until it is released by hand',
  { skip, timeout: 180_000 },
  async (t) => {
    const world = await worldOf(t, NODES, {});
    await world.announced('dns', ...NODES);
    const kept = await aether(
      world.cluster,
      'quarantine',
      'fra-1',
      '--for',
      '1h',
      '--reason',
      'flaps',
    );
    assert.equal(kept.code, 0, kept.stderr);
    // One more than the floor is left, so it need not stay as the last choice.
    await world.announced('dns', 'fra-2', 'fra-3');
    const released = await aether(world.cluster, 'quarantine', 'fra-1', '--release', '--wait');
    assert.equal(released.code, 0, released.stderr);
    await world.announced('dns', ...NODES);
    const again = await aether(world.cluster, 'quarantine', 'fra-1', '--release');
    assert.equal(again.code, 5);
  },
);

const REGIONS = {
  regions: [
    { name: 'fra', weight: 1 },
    { name: 'ams', weight: 0 },
  ],
};
const IN_REGIONS = ['fra-1', 'fra-2', 'ams-1'];

test(
  'a region that does not serve any more is left for its backup, by evidence alone',
  { skip, timeout: 240_000 },
  async (t) => {
    const world = await worldOf(t, IN_REGIONS, REGIONS);
    await world.announced('dns', 'fra-1', 'fra-2');
    world.edge('fra-1').connect(false);
    await world.announced('dns', 'fra-2');
    const running = await world.cluster.running();
    assert.ok(!running.includes('service/dns/failover'), 'one node is left');
    world.edge('fra-2').prove(false);
    await world.announced('dns', 'ams-1', 'fra-2');
    const moved = await until('traffic has moved', async () => {
      const found = await world.cluster.admin.routeProgress('service/dns/failover');
      return found.progress?.state === 'failedOver' ? found : null;
    });
    const told = moved.progress?.steps.find(({ what }) => what === 'fra does not serve');
    assert.match(
      told?.evidence ?? '',
      /sessionsDown; unhealthy; fra-1: no session to a router is up; fra-2: the probe fails/,
    );
    await world.announced('dns', 'ams-1');

    world.edge('fra-1').connect(true);
    world.edge('fra-2').prove(true);
    await until('it hears that the region is well', async () => {
      const { progress } = await world.cluster.admin.routeProgress('service/dns/failover');
      return progress?.state === 'holdDown';
    });
    const back = await aether(world.cluster, 'failover', 'dns', '--back', '--wait');
    assert.equal(back.code, 0, back.stderr + back.stdout);
    await world.announced('dns', 'fra-1', 'fra-2');
  },
);

test(
  'a region whose probes fail by the word of the others is left, and a person may move it too',
  { skip, timeout: 240_000 },
  async (t) => {
    const world = await worldOf(t, IN_REGIONS, REGIONS);
    await world.announced('dns', 'fra-1', 'fra-2');
    const move = await aether(
      world.cluster,
      ...['failover', 'dns', '--from', 'fra', '--to', 'ams', '--reason', 'power', '--wait'],
    );
    assert.equal(move.code, 0, move.stderr + move.stdout);
    await world.announced('dns', 'ams-1');
    const twice = await aether(world.cluster, 'failover', 'dns', '--from', 'fra', '--to', 'ams');
    assert.equal(twice.code, 5);
    assert.match(twice.stderr, /is under way \(service\/dns\/failover\)/);
    const early = await aether(world.cluster, 'undrain', 'service/dns');
    assert.equal(early.code, 5, early.stdout);
    assert.match(early.stderr, /dns has left fra by service\/dns\/failover.*failover dns --back/);
    const back = await aether(world.cluster, 'failover', 'dns', '--back', '--wait');
    assert.equal(back.code, 0, back.stderr + back.stdout);
    await world.announced('dns', 'fra-1', 'fra-2');

    const [fra, ams] = [addressOf(1), addressOf(3)];
    world.edge('fra-1').watch([bfdSession(fra, ams)]);
    world.edge('ams-1').watch([bfdSession(ams, fra)]);
    await until('both are heard', async () => {
      const views = await world.cluster.admin.routing();
      return views.filter(({ status }) => status?.bfdPeers.length === 1).length === 2;
    });
    world.edge('ams-1').watch([bfdSession(ams, fra, { state: 'down', downs: 1 })]);
    await until('its backup has taken over', async () => {
      const [view] = await world.cluster.admin.getServices('dns');
      return view?.announcers.includes('ams-1');
    });
    const { progress } = await world.cluster.admin.routeProgress('service/dns/failover');
    const why = /^probesFailing; ams-1: it answers no more \(1 of 1 edges\)/;
    assert.ok(progress?.steps.some(({ evidence }) => why.test(evidence ?? '')));
  },
);
