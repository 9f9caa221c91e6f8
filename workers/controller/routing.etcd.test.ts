import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutEtcd } from '../../adapters/etcd/testing';
import { keys } from '../../core/model/keys';
import { valueText } from '../../core/model/values';
import { until } from '../../workflows/testing/until';
import { routingNode, routingWorld, service } from './testing/routing-world';

const skip = withoutEtcd;
const NO_TEMPORAL = { temporal: false };

test(
  'operators see who announces a service, who does not, and why',
  { skip, timeout: 60_000 },
  async (t) => {
    const regions = [
      { name: 'fra', weight: 1 },
      { name: 'ams', weight: 0 },
    ];
    const world = await routingWorld(
      t,
      ['fra-1', 'fra-2', 'ams-1'],
      [service('dns', { regions })],
      NO_TEMPORAL,
    );
    const { admin } = world.cluster;
    await world.announced('dns', 'fra-1', 'fra-2');

    world.edge('fra-2').prove(false);
    await until('the lost proof is seen', async () => {
      const { edges } = await admin.describeService('dns');
      return edges.find(({ node }) => node === 'fra-2')?.why.includes('the probe fails');
    });
    const { view, edges, seen } = await admin.describeService('dns');
    assert.deepEqual([view.bound, view.minAnnouncers], [3, 1]);
    const [ams, fra1] = edges;
    assert.deepEqual(
      [fra1?.announced, fra1?.stance, fra1?.why, fra1?.peers],
      [true, 'announce', [], ['192.0.2.1']],
    );
    assert.deepEqual([ams?.announced, ams?.commanded?.stance], [false, 'withdraw']);
    assert.match(ams?.why[0] ?? '', /stands by/);
    assert.deepEqual(seen, { configured: false, observers: [] });
    const { notAnnounced } = await admin.explain('fra-2');
    assert.match(notAnnounced[0] ?? '', /^dns is .*: the probe fails$/);
    assert.deepEqual((await admin.explain('fra-1')).notAnnounced, []);

    world.edge('fra-1').connect(false);
    await until('no session is left', async () => {
      const [routing] = await admin.routing('fra-1');
      return routing?.status?.neighbors[0]?.state === 'idle';
    });
    await world.announced('dns', 'fra-2');
  },
);

test(
  'a command in etcd reaches its edge, and an edge that goes is told as such',
  { skip, timeout: 60_000 },
  async (t) => {
    const world = await routingWorld(t, ['fra-1', 'fra-2'], [service('dns', {})], NO_TEMPORAL);
    const { admin } = world.cluster;
    await world.announced('dns', 'fra-1', 'fra-2');
    const command = { stance: 'withdraw' as const, reason: 'a test', by: 'tester', atMs: 1 };
    const value = valueText({ command });
    await world.etcd.write([], [{ op: 'put', key: keys.routing('fra-1'), value }]);
    await world.announced('dns', 'fra-2');
    const [routing] = await admin.routing('fra-1');
    assert.deepEqual(routing?.command, command);
    const { notAnnounced } = await admin.explain('fra-1');
    assert.match(notAnnounced[0] ?? '', /dns is not announced: .*a test \(tester\)/);

    world.edge('fra-2').close();
    await world.announced('dns');
    const { edges } = await admin.describeService('dns');
    assert.match(edges[1]?.why[0] ?? '', /not connected: this is what it said last/);
  },
);

test(
  'a plan says which sessions reset, and which nodes a service binds',
  {
    skip,
    timeout: 60_000,
  },
  async (t) => {
    const world = await routingWorld(t, ['fra-1'], [service('dns', {})], NO_TEMPORAL);
    const { admin } = world.cluster;
    const next = routingNode('fra-1', 1);
    next.spec.bgp!.neighbors[0]!.asn = 64501;
    next.spec.bgp!.neighbors.push({ ...next.spec.bgp!.neighbors[0]!, address: '192.0.2.9' });
    const [node, binds] = await admin.plan([next, service('dns', { minAnnouncers: 2 })]);
    assert.match(node?.notes[0] ?? '', /^BGP 192\.0\.2\.1: .*\(the session resets\)$/);
    assert.match(node?.notes[1] ?? '', /^BGP 192\.0\.2\.9: a session with AS 64501 begins$/);
    assert.deepEqual(binds?.notes, [
      'binds fra-1 (tier=edge)',
      "1 node is selected: a floor of 2 can't hold",
    ]);
  },
);

test(
  'a service that is deleted goes with all its keys, and its edges are told by a newer spec',
  { skip, timeout: 60_000 },
  async (t) => {
    const world = await routingWorld(t, ['fra-1'], [service('dns', {})], NO_TEMPORAL);
    const { admin } = world.cluster;
    await world.announced('dns', 'fra-1');
    const command = { stance: 'announce' as const, reason: 'a test', by: 'tester', atMs: 1 };
    const value = valueText({ regions: { fra: command } });
    const written = await world.etcd.write([], [{ op: 'put', key: keys.traffic('dns'), value }]);
    assert.ok(written.committed);

    const { deletionRevision } = await admin.delete('dns', false, 'AnycastService');
    assert.ok(deletionRevision > written.revision);
    await until('no spec has it any more', async () => {
      const { desired } = await admin.explain('fra-1');
      return desired.revision >= deletionRevision && (await admin.getServices()).length === 0;
    });
    for (const key of [keys.service('dns'), keys.traffic('dns'), keys.permits('dns')]) {
      assert.equal(await world.etcd.get(key), null, key);
    }
    const again = admin.delete('dns', false, 'AnycastService');
    await assert.rejects(again, /There is no service dns/);
  },
);

test(
  'a routing message that can not be read ends the stream',
  { skip, timeout: 60_000 },
  async (t) => {
    const world = await routingWorld(t, ['fra-1'], [service('dns', {})], NO_TEMPORAL);
    const edge = world.edge('fra-1');
    edge.say({ sequence: 0, atMs: 1, kind: 'bfdUp', peer: 'x' });
    await until('it is told', () => /a report was refused/.test(world.cluster.log('controller')));
  },
);

test(
  'verbs that need Temporal are refused while it is away, and change nothing',
  { skip, timeout: 60_000 },
  async (t) => {
    const world = await routingWorld(
      t,
      ['fra-1', 'fra-2'],
      [service('dns', { minAnnouncers: 2 })],
      NO_TEMPORAL,
    );
    const { admin } = world.cluster;
    await world.announced('dns', 'fra-1', 'fra-2');
    const order = { service: null, from: null, to: null, reason: 'x', force: false, forMs: 0 };
    await assert.rejects(
      admin.route({ ...order, verb: 'drain', node: 'fra-1' }),
      /FAILED_PRECONDITION.*dns must have 2 announcers, and only 1 would be left \(fra-2\)/,
    );
    await assert.rejects(
      admin.route({ ...order, verb: 'drain', node: 'fra-1', force: true }),
      /UNAVAILABLE.*Temporal/,
    );
    await assert.rejects(admin.route({ ...order, verb: 'drain', node: 'nrt-1' }), /NOT_FOUND/);
    await assert.rejects(
      admin.route({ ...order, verb: 'drain', node: null, service: 'dns', from: 'nrt' }),
      /FAILED_PRECONDITION.*No node of dns is in nrt/,
    );
    await assert.rejects(
      admin.route({
        ...order,
        verb: 'failover',
        node: null,
        service: 'dns',
        from: 'fra',
        to: 'fra',
      }),
      /from one region to another/,
    );
    assert.equal(await world.etcd.get(keys.routing('fra-1')), null);
    await world.announced('dns', 'fra-1', 'fra-2');
  },
);
