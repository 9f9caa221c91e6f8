import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutEtcd } from '../../adapters/etcd/testing';
import { keys } from '../../core/model/keys';
import { valueText } from '../../core/model/values';
import { until } from '../../workflows/testing/until';
import { aether } from './testing/cli';
import { bfdSession } from './testing/routing-edge';
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
    assert.match(
      node?.notes[0] ?? '',
      /^BGP 192\.0\.2\.1: its session resets: AS \d+ becomes 64501$/,
    );
    assert.match(node?.notes[1] ?? '', /^BGP 192\.0\.2\.9: a session with AS 64501 begins$/);
    assert.deepEqual(binds?.notes, [
      'binds fra-1 (tier=edge)',
      "1 node is selected: a floor of 2 can't hold",
    ]);

    const region = (name: string, weight: number) => ({ name, weight });
    const regions = [region('fra', 0), region('ams', 1)];
    const [stands] = await admin.plan([service('dns', { regions })]);
    const loss = /^withdrawn at once: (node fra-1|service dns); drain first/;
    assert.match(stands?.notes.at(-1) ?? '', loss);
    const other = routingNode('fra-1', 1);
    other.metadata.labels = { tier: 'other' };
    const [leaves] = await admin.plan([other]);
    assert.match(leaves?.notes.at(-1) ?? '', loss);

    await world.announced('dns', 'fra-1');
    const floor =
      /FAILED_PRECONDITION.*dns must have 1 announcers; .* at once by fra-1, and only 0 would be left/;
    await assert.rejects(admin.apply([other], null), floor);
    await assert.rejects(admin.apply([service('dns', { regions })], null), floor);
    assert.equal((await admin.getServices())[0]?.bound, 1, 'nothing was written');
    await admin.apply([other], null, true);
    await world.announced('dns');
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

    await assert.rejects(
      admin.delete('dns', false, 'AnycastService'),
      /FAILED_PRECONDITION.*dns is announced by fra-1, and would be withdrawn at once; nothing/,
    );
    const { deletionRevision } = await admin.delete('dns', true, 'AnycastService');
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

test('the command shows it, for people and for scripts', { skip, timeout: 60_000 }, async (t) => {
  const world = await routingWorld(
    t,
    ['fra-1', 'fra-2'],
    [service('dns', { minAnnouncers: 2 })],
    NO_TEMPORAL,
  );
  const { cluster } = world;
  await world.announced('dns', 'fra-1', 'fra-2');
  const must = async (...argv: string[]): Promise<string> => {
    const { code, stdout, stderr } = await aether(cluster, ...argv);
    assert.equal(code, 0, `${argv.join(' ')}: ${stdout}${stderr}`);
    return stdout;
  };
  const services = await must('services');
  assert.match(services, /^SERVICE +NODE +REGION +STANCE +SINCE +PERMIT +PEERS +SEEN AT +WHY\n/);
  assert.match(services, /\ndns +fra-1 +fra +announced +\d+ s +no +192\.0\.2\.1 +no observer\n/);
  assert.match(
    await must('get', 'services'),
    /\ndns +203\.0\.113\.10\/32 +edge +2: tier=edge +2 +2/,
  );

  world.edge('fra-2').connect(false);
  world
    .edge('fra-1')
    .watch([bfdSession('192.0.2.101', '198.51.100.1', { state: 'down', downs: 3 })]);
  await until('both are heard', async () => {
    const [one, two] = await cluster.admin.routing();
    const down = two?.status?.neighbors[0]?.state === 'idle';
    return one?.status?.bfdPeers.length === 1 && down;
  });
  const neighbors = await must('bgp', 'neighbors');
  assert.match(neighbors, /\nfra-1 +192\.0\.2\.1 +64500 +established/);
  assert.match(neighbors, /\nfra-2 +192\.0\.2\.1 +64500 +idle .* no answer/);
  assert.doesNotMatch(await must('bgp', 'neighbors', 'fra-1'), /fra-2/);
  const sessions = await must('bfd', 'sessions');
  assert.match(
    sessions,
    /fra-1 +198\.51\.100\.1 +multihop +down \(peer up\) +\d+ s +100 +300 \(3×\) +3/,
  );
  const views = JSON.parse(await must('bfd', 'sessions', '--json')) as { node: string }[];
  assert.deepEqual(
    views.map(({ node }) => node),
    ['fra-1', 'fra-2'],
  );
  assert.match(await must('services', 'dns'), /below its floor of 2/);
  const described = await must('describe', 'service', 'dns');
  assert.match(described, /fra-2 +fra +not announced .*no session is established/);
  assert.match(await must('describe', 'node', 'fra-2'), /Neighbours\n.*\n +fra-2 +192\.0\.2\.1/);
  assert.match(await must('explain', 'node', 'fra-2'), /service +dns is not announced: /);

  const ended = async (...argv: string[]): Promise<number> => (await aether(cluster, ...argv)).code;
  assert.equal(await ended('services', 'web'), 7);
  assert.equal(await ended('bgp', 'neighbors', 'nrt-1'), 7);
  assert.equal(await ended('drain', 'fra-1'), 5);
  assert.equal(await ended('drain', 'fra-1', '--force'), 4);
  assert.equal(await ended('drain', 'fra-1', '--region', 'fra'), 2);
  assert.equal(await ended('failover', 'dns'), 2);
  assert.equal(await ended('quarantine', 'fra-1', '--for', 'ever'), 2);
});

test(
  'a region that went while no controller was there is missed by the next one',
  { skip, timeout: 120_000 },
  async (t) => {
    const regions = [
      { name: 'fra', weight: 1 },
      { name: 'ams', weight: 0 },
    ];
    const dns = service('dns', { regions });
    const world = await routingWorld(t, ['fra-1', 'ams-1'], [dns], NO_TEMPORAL);
    const { cluster } = world;
    await world.announced('dns', 'fra-1');
    await cluster.stopController('SIGKILL');
    world.edge('fra-1').close();
    const told = () =>
      cluster
        .log('controller')
        .split('\n')
        .filter((line) => line.includes('"evidence of a region"'));
    await cluster.startController();
    const [line] = await until('it is missed', () => (told().length > 0 ? told() : null), 60_000);
    const { region, state, evidence } = JSON.parse(line ?? '{}') as Record<string, string>;
    assert.deepEqual([region, state], ['fra', 'down']);
    assert.match(evidence ?? '', /^edgesGone; fra-1: its stream has ended/);
    assert.equal(told().length, 1);
  },
);
