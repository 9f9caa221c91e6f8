import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { RouteOrder, RouteVerb } from '../../adapters/admin/proto';
import { keys } from '../../core/model/keys';
import type { RouteProgress } from '../../core/model/views';
import { until } from '../../workflows/testing/until';
import { aether } from './testing/cli';
import { withoutServers } from './testing/cluster';
import { bfdSession } from './testing/routing-edge';
import { addressOf, type RoutingWorld, routingWorld, service } from './testing/routing-world';

const skip = withoutServers;
const WITH_TEMPORAL = { temporal: true };
const NODES = ['fra-1', 'fra-2', 'fra-3'];

const order = (verb: RouteVerb, what: Partial<RouteOrder>): RouteOrder => ({
  verb,
  node: null,
  service: null,
  from: null,
  to: null,
  reason: 'a test',
  force: false,
  forMs: 0,
  ...what,
});

const ended = (world: RoutingWorld, workflowId: string): Promise<RouteProgress> =>
  until(
    `${workflowId} has ended`,
    async () => {
      const found = await world.cluster.admin.routeProgress(workflowId).catch(() => null);
      return found && found.status !== 'RUNNING' && found.progress !== null ? found : null;
    },
    90_000,
  );

const worldOf = (
  t: TestContext,
  nodes: string[],
  floor: number,
  spec: object = {},
): Promise<RoutingWorld> =>
  routingWorld(t, nodes, [service('dns', { minAnnouncers: floor, ...spec })], WITH_TEMPORAL);

test(
  'events of an edge are acknowledged when Temporal has them, and not before',
  { skip, timeout: 120_000 },
  async (t) => {
    const world = await worldOf(t, ['fra-1'], 1);
    const edge = world.edge('fra-1');
    const down = (sequence: number) =>
      ({ sequence, atMs: Date.now(), kind: 'bfdDown', peer: 'x', diagnostic: 'y' }) as const;
    edge.say({ ...down(1), cause: 'administrative' });
    await until('the first is acknowledged', () => edge.acknowledged.includes(1));
    world.cluster.wayToTemporal?.swallow(true);
    edge.say({ ...down(2), cause: 'administrative' });
    edge.say({ ...down(2), cause: 'administrative' }, { ...down(3), cause: 'administrative' });
    await until(
      'the hand-over is tried again',
      () => /Temporal did not take it yet/.test(world.cluster.log('controller')),
      30_000,
    );
    assert.deepEqual(edge.acknowledged, [1]);
    world.cluster.wayToTemporal?.swallow(false);
    await until('all are acknowledged', () => edge.acknowledged.at(-1) === 3, 30_000);

    // What a path does by itself is held against it.
    edge.say({ ...down(4), peer: '192.0.2.1', cause: 'path' });
    await until('it is penalised', async () => {
      const { stdout } = await aether(world.cluster, 'describe', 'node', 'fra-1');
      return /Penalties\n.*\n +192\.0\.2\.1 +\d+ +no +- +bfdDown \d+ s ago/.test(stdout);
    });
  },
);

test(
  'a node is drained step by step, each with its evidence, and comes back',
  { skip, timeout: 180_000 },
  async (t) => {
    const world = await worldOf(t, ['fra-1', 'fra-2'], 1);
    await world.announced('dns', 'fra-1', 'fra-2');
    const drain = await aether(
      world.cluster,
      'drain',
      'fra-1',
      '--reason',
      'a new kernel',
      '--wait',
    );
    assert.equal(drain.code, 0, drain.stderr + drain.stdout);
    const steps = ['deprefer', 'peers have moved', 'withdraw', 'counters are quiet'];
    let at = 0;
    for (const step of steps) {
      const found = drain.stderr.indexOf(step, at);
      assert.ok(found >= at, `${step} in its order:\n${drain.stderr}`);
      at = found;
    }
    assert.match(drain.stderr, /fra-1 at |at \d+: at rest for|203\.0\.113\.10/);
    await world.announced('dns', 'fra-2');
    const described = await aether(world.cluster, 'describe', 'service', 'dns');
    assert.match(described.stdout, /fra-1 +fra +withdrawn.*a new kernel/);
    assert.match((await aether(world.cluster, 'explain', 'node', 'fra-1')).stdout, /a new kernel/);

    const back = await aether(world.cluster, 'undrain', 'fra-1', '--wait', '--json');
    assert.equal(back.code, 0, back.stderr + back.stdout);
    const result = JSON.parse(back.stdout) as RouteProgress;
    assert.equal(result.status, 'COMPLETED');
    await world.announced('dns', 'fra-1', 'fra-2');
    const again = await aether(world.cluster, 'undrain', 'fra-1');
    assert.equal(again.code, 5);
    assert.match(again.stderr, /fra-1 is not drained/);
  },
);

test(
  'of two drains at once only one passes where the floor allows one',
  { skip, timeout: 180_000 },
  async (t) => {
    const world = await worldOf(t, NODES, 2);
    await world.announced('dns', ...NODES);
    const { admin } = world.cluster;
    const started = await Promise.all(
      ['fra-1', 'fra-2'].map((node) => admin.route(order('drain', { node }))),
    );
    const results = await Promise.all(started.map(({ workflowId }) => ended(world, workflowId)));
    const statuses = results.map(({ status }) => status).sort();
    assert.deepEqual(statuses, ['COMPLETED', 'FAILED'], JSON.stringify(results, null, 1));
    const refused = results.find(({ status }) => status === 'FAILED');
    assert.match(refused?.failure?.message ?? '', /2 announcers|dns/);
    await until('two go on to announce', async () => {
      const [view] = await admin.getServices('dns');
      return view?.announcers.length === 2;
    });
    const left = ['fra-1', 'fra-2'].filter((_, i) => results[i]?.status === 'FAILED');
    const refusal = await aether(world.cluster, 'drain', left[0] ?? '');
    assert.equal(refusal.code, 5);
    assert.match(refusal.stderr, /dns must have 2 announcers, and only 1 would be left \(fra-3\)/);
  },
);

test(
  'a drain outlives an outage of etcd and a killed controller',
  { skip, timeout: 240_000 },
  async (t) => {
    const world = await worldOf(t, ['fra-1', 'fra-2'], 1);
    await world.announced('dns', 'fra-1', 'fra-2');
    const { cluster } = world;
    const { workflowId } = await cluster.admin.route(order('drain', { node: 'fra-1' }));
    await until('it is under way', async () => {
      const { progress } = await cluster.admin.routeProgress(workflowId);
      return (progress?.steps.length ?? 0) > 0;
    });
    cluster.etcd.signal(0, 'SIGKILL');
    await until('operators are told', async () => !(await cluster.admin.status()).etcd.ok, 30_000);
    await cluster.stopController('SIGKILL');
    cluster.etcd.restart(0);
    await cluster.startController();
    await cluster.ready();
    const { status, failure } = await ended(world, workflowId);
    assert.equal(status, 'COMPLETED', failure?.message);
    await world.announced('dns', 'fra-2');
    assert.notEqual(await world.etcd.get(keys.routing('fra-1')), null);
  },
);

test(
  'a node is quarantined for a while, or until it is released by hand',
  { skip, timeout: 180_000 },
  async (t) => {
    const world = await worldOf(t, NODES, 1);
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
    const world = await worldOf(t, IN_REGIONS, 1, REGIONS);
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
    const world = await worldOf(t, IN_REGIONS, 1, REGIONS);
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
