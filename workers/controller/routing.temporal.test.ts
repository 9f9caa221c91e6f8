import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { RouteOrder, RouteVerb } from '../../adapters/admin/proto';
import { keys } from '../../core/model/keys';
import { userFormOf } from '../../core/model/resources';
import type { RouteProgress } from '../../core/model/views';
import { until } from '../../workflows/testing/until';
import { aether } from './testing/cli';
import { withoutServers } from './testing/cluster';
import { routingNode, type RoutingWorld, routingWorld, service } from './testing/routing-world';

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

/** What declares fra-1, unchanged. */
function fileOf(world: RoutingWorld): string {
  const path = join(world.cluster.directory, 'fra-1.yaml');
  writeFileSync(path, JSON.stringify(userFormOf(routingNode('fra-1', 1))));
  return path;
}

const worldOf = (t: TestContext, nodes: string[], floor: number): Promise<RoutingWorld> =>
  routingWorld(t, nodes, [service('dns', { minAnnouncers: floor })], WITH_TEMPORAL);

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

    const { admin } = world.cluster;
    const applied = await aether(world.cluster, 'apply', '-f', fileOf(world), '--wait');
    assert.equal(applied.code, 0, applied.stderr + applied.stdout);
    assert.match(applied.stdout, /not active, and as it should be: fra-1 \(draining\)/);

    // Until its sessions are up it can't announce, so its return waits.
    world.edge('fra-1').connect(false);
    const { workflowId } = await admin.route(order('undrain', { node: 'fra-1' }));
    await until('it is on its way back', async () => {
      return (await admin.routeProgress(workflowId)).progress?.returning;
    });
    const joined = await aether(world.cluster, 'drain', 'fra-1');
    assert.equal(joined.code, 5, joined.stdout);
    assert.match(joined.stderr, /fra-1 is being brought back \(node\/fra-1\/drain\)/);
    // One that joins, while there is something to join.
    const joining = aether(world.cluster, 'undrain', 'fra-1', '--wait', '--json');
    await until('both have asked', () => {
      const asked = world.cluster.log('controller').match(/"audit":true.*"verb":"undrain"/g);
      return asked?.length === 2;
    });
    world.edge('fra-1').connect(true);
    const back = await joining;
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
  'a node that is deleted goes as the last choice, then not at all, and only then is taken down',
  { skip, timeout: 180_000 },
  async (t) => {
    const world = await worldOf(t, ['fra-1', 'fra-2'], 1);
    await world.announced('dns', 'fra-1', 'fra-2');
    await world.cluster.admin.delete('fra-1', false);
    const stands = (stance: string) =>
      until(
        `fra-1 is told: ${stance}`,
        () => {
          const { phase, services } = world.edge('fra-1').spec ?? {};
          assert.notEqual(phase, 'decommissioning', `before it was told: ${stance}`);
          return services?.[0]?.commanded.stance === stance;
        },
        60_000,
      );
    await stands('deprefer');
    await stands('withdraw');
    await world.announced('dns', 'fra-2');
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
