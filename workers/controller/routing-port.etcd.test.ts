import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { pino } from 'pino';
import { EtcdClient } from '../../adapters/etcd/client';
import { EtcdCluster, withoutEtcd } from '../../adapters/etcd/testing';
import { listWatch } from '../../adapters/etcd/watch';
import { type GovernorLimits, parseGovernor } from '../../core/model/governor';
import { keys } from '../../core/model/keys';
import { type RefusalFact, refusalIn } from '../../core/model/errors';
import type { NodeCommand, Picture, TrafficCommand } from '../../core/model/routing-messages';
import { valueText } from '../../core/model/values';
import { shardOf } from '../../core/ring/shard';
import { until } from '../../workflows/testing/until';
import { DesiredState, readKey } from './desired';
import { Edges } from './edges';
import { Fleet } from './fleet';
import { createControllerMetrics } from './metrics';
import { Observers } from './observers';
import { ControllerRouting } from './routing-port';
import { Shards } from './shards';
import { Standing } from './standing';
import { exampleController } from './testing/resources';
import { routingNode, service } from './testing/routing-world';

const skip = withoutEtcd;
const NODES = ['fra-1', 'fra-2', 'ams-1'];
const WISH = { reason: 'a test', by: 'tester', force: false };

/** The port over a real etcd with some nodes and one service; no edge is connected. */
async function world(t: TestContext, floor: number, limits: GovernorLimits, names = NODES) {
  const cluster = await EtcdCluster.start(1);
  t.after(() => cluster.stop());
  const etcd = new EtcdClient({ endpoints: cluster.urls, writer: 'c1' });
  t.after(() => etcd.close());
  const stop = new AbortController();
  t.after(() => stop.abort());
  const log = pino({ level: 'silent' });
  const shards = new Shards(etcd, 'c1', exampleController(), log);
  const desired = new DesiredState();
  let leased = false;
  const running = shards.run(stop.signal, () => (leased = true));
  t.after(() => {
    stop.abort();
    return running;
  });
  const deaf = new AbortController();
  void (async () => {
    const ended = AbortSignal.any([stop.signal, deaf.signal]);
    for await (const item of listWatch(etcd, { prefix: keys.root }, ended)) {
      desired.apply(item);
    }
  })().catch(() => undefined);
  await until('a lease', () => leased);
  await shards.claim([...new Set([...names, 'dns'].map(shardOf))]);
  const put = (key: string, value: string) => etcd.write([], [{ op: 'put', key, value }]);
  for (const [i, name] of names.entries()) {
    const resource = routingNode(name, i + 1);
    await put(keys.node(name), valueText({ resource, deletionRevision: null }));
    await put(keys.phase(name), valueText({ phase: 'active' }));
  }
  await put(keys.service('dns'), valueText({ resource: service('dns', { minAnnouncers: floor }) }));
  const last = names.at(-1) ?? '';
  await until('etcd is read', () => desired.servicesOf(last).length === 1);
  const edges = new Edges({
    desired,
    shards,
    standing: new Standing(etcd, desired, () => assert.fail('nobody comes'), log),
    place: (shard) => ({ kind: 'here', holds: shards.holds(shard) }),
    controllers: () => [],
    sink: {
      drift: () => undefined,
      record: () => undefined,
      connected: () => undefined,
      disconnected: () => undefined,
      routing: () => undefined,
    },
    chunk: () => Promise.resolve(null),
    changed: () => undefined,
    fenced: () => undefined,
    metrics: createControllerMetrics(),
    log,
  });
  const clock = { ms: 1_000_000 };
  const observers = new Observers([], () => new Map());
  const now = () => clock.ms;
  const fleet = new Fleet({ self: 'c1', edges: () => edges, peers: null, ownerOf: () => 'c1' });
  const port = new ControllerRouting({
    etcd,
    desired,
    shards,
    edges: fleet,
    observers,
    limits,
    now,
  });
  const picture = async (announcers = names): Promise<Picture> => {
    const { governorRevision, revision } = await port.placement({ service: 'dns' });
    return { governorRevision, revision: revision ?? 0, announcers: { dns: announcers } };
  };
  /** The watch tells nothing any more. */
  const deafen = () => deaf.abort();
  return { etcd, port, put, picture, clock, desired, deafen };
}

const PLENTY: GovernorLimits = { most: 100, windowMs: 60_000 };

async function refusal(attempt: Promise<unknown>): Promise<RefusalFact | undefined> {
  try {
    await attempt;
  } catch (error) {
    return refusalIn(error)?.fact;
  }
  return assert.fail('it was not refused');
}

const withdraw = (node: string, picture: Picture | null, over: Partial<NodeCommand> = {}) => ({
  ...WISH,
  node,
  stance: 'withdraw' as const,
  picture,
  ...over,
});

test('a node is commanded once, and again is no change', { skip, timeout: 30_000 }, async (t) => {
  const { port, picture } = await world(t, 2, PLENTY);
  const first = await port.commandNode(withdraw('fra-1', await picture()));
  assert.deepEqual(first.left, { dns: 2 });
  // Even by a picture that has moved: it is so already.
  assert.equal((await port.commandNode(withdraw('fra-1', null))).revision, first.revision);
  const { services } = await port.placement({ service: 'dns' });
  const command = services[0]?.nodes.find(({ node }) => node === 'fra-1')?.command;
  assert.deepEqual(command, {
    stance: 'withdraw',
    reason: 'a test',
    by: 'tester',
    atMs: 1_000_000,
  });
});

test(
  'the floor is refused with the names of those that are left',
  { skip, timeout: 30_000 },
  async (t) => {
    const { port, etcd, picture } = await world(t, 2, PLENTY);
    await port.commandNode(withdraw('fra-1', await picture()));
    const fact = await refusal(port.commandNode(withdraw('fra-2', await picture())));
    assert.deepEqual(fact, {
      code: 'FloorReached',
      service: 'dns',
      announcers: ['ams-1'],
      floor: 2,
    });
    assert.equal(await etcd.get(keys.routing('fra-2')), null);
    // Seen to announce by fewer: who is not seen is not counted on.
    const few = await picture(['fra-2', 'ams-1']);
    assert.equal((await refusal(port.commandNode(withdraw('ams-1', few))))?.code, 'FloorReached');
    const forced = await port.commandNode(withdraw('fra-2', await picture(), { force: true }));
    assert.deepEqual(forced.left, { dns: 1 });
  },
);

test(
  'of two commands by one picture the second is refused',
  { skip, timeout: 30_000 },
  async (t) => {
    const { port, picture } = await world(t, 2, PLENTY);
    const same = await picture();
    const outcomes = await Promise.allSettled(
      ['fra-1', 'fra-2'].map((node) => port.commandNode(withdraw(node, same))),
    );
    assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    const rejected = outcomes.find((outcome) => outcome.status === 'rejected');
    assert.equal(refusalIn(rejected?.reason)?.fact.code, 'PictureMoved');
  },
);

test(
  'thirty at once by the picture of one moment are all written, and the floor stands',
  { skip, timeout: 60_000 },
  async (t) => {
    const names = Array.from({ length: 32 }, (_, i) => `fra-${i + 1}`);
    const { port, picture } = await world(t, 2, PLENTY, names);
    const same = await picture();
    const thirty = names.slice(0, 30);
    const last = await Promise.all(
      thirty.map((node) => port.commandNode({ ...withdraw(node, same), stance: 'deprefer' })),
    );
    assert.equal(new Set(last.map(({ revision }) => revision)).size, 30);
    const now = await picture();
    const gone = await Promise.all(thirty.map((node) => port.commandNode(withdraw(node, now))));
    const left = gone.map((each) => each.left['dns'] ?? -1).sort((a, b) => a - b);
    assert.deepEqual(
      left,
      thirty.map((_, i) => i + 2),
      'each knew of those before',
    );
    const fact = await refusal(port.commandNode(withdraw('fra-31', await picture())));
    assert.equal(fact?.code, 'FloorReached');
  },
);

test(
  'nobody rests on an announcer that was commanded something since the picture was made',
  { skip, timeout: 30_000 },
  async (t) => {
    const { port, picture } = await world(t, 2, PLENTY);
    const before = await picture();
    await port.commandNode(withdraw('fra-1', await picture()));
    // Commanded to come back; whether it has, a newer look tells.
    await port.commandNode({ ...withdraw('fra-1', null), stance: 'announce' });
    const fact = await refusal(port.commandNode(withdraw('fra-2', before)));
    assert.equal(fact?.code, 'PictureMoved');
    await port.commandNode(withdraw('fra-2', await picture()));
    // So it is with a controller that makes pictures as they were.
    const { governorRevision, announcers } = before;
    const former = await refusal(
      port.commandNode(withdraw('ams-1', { governorRevision, announcers })),
    );
    assert.equal(former?.code, 'PictureMoved');
  },
);

test(
  'a floor that was declared a moment ago holds, whether the watch has told of it or not',
  { skip, timeout: 30_000 },
  async (t) => {
    const { port, put, picture, deafen } = await world(t, 1, PLENTY);
    const seen = await picture();
    deafen();
    const declare = (name: string, spec: object) =>
      put(keys.service(name), valueText({ resource: service(name, spec) }));
    await declare('dns', { minAnnouncers: 3 });
    const fact = await refusal(port.commandNode(withdraw('fra-1', seen)));
    assert.deepEqual(fact, {
      code: 'FloorReached',
      service: 'dns',
      announcers: ['fra-2', 'ams-1'],
      floor: 3,
    });
    const region = { ...WISH, service: 'dns', regions: { fra: 'withdraw' }, nodes: {} } as const;
    const traffic = await refusal(port.commandTraffic({ ...region, picture: seen }));
    assert.equal(traffic?.code, 'FloorReached');
    await declare('dns', { minAnnouncers: 1 });
    await declare('web', { prefixes: ['203.0.113.20/32'], minAnnouncers: 3 });
    // Nobody has looked at who announces that one.
    const unseen = await refusal(port.commandNode(withdraw('fra-1', seen)));
    assert.equal(unseen?.code, 'PictureMoved');
    const both = { ...seen, announcers: { ...seen.announcers, web: ['ams-1'] } };
    await port.commandNode(withdraw('fra-1', both));
  },
);

test(
  'a node that is to be removed is told for its own drain, and for no other',
  { skip, timeout: 30_000 },
  async (t) => {
    const { port, put, desired } = await world(t, 2, PLENTY);
    const resource = routingNode('fra-1', 1);
    await put(keys.node('fra-1'), valueText({ resource, deletionRevision: 1 }));
    await until('it is seen', () => desired.of('fra-1').deletionRevision === 1);
    const placed = async (of: { node: string } | { service: string }) => {
      const { services } = await port.placement(of);
      return services.map(({ service, nodes }) => [service, nodes.map(({ node }) => node).sort()]);
    };
    assert.deepEqual(await placed({ node: 'fra-1' }), [['dns', [...NODES].sort()]]);
    assert.deepEqual(await placed({ service: 'dns' }), [['dns', ['ams-1', 'fra-2']]]);
    assert.deepEqual(await placed({ node: 'fra-2' }), [['dns', ['ams-1', 'fra-2']]]);
  },
);

test('permits that are out count as used', { skip, timeout: 30_000 }, async (t) => {
  const { port, put, picture } = await world(t, 2, PLENTY);
  await put(keys.permits('dns'), valueText({ holders: { 'ams-1': { state: 'returning' } } }));
  const fact = await refusal(port.commandNode(withdraw('fra-1', await picture())));
  assert.deepEqual(fact, { code: 'PermitsOut', service: 'dns', holders: ['ams-1'], floor: 2 });
  const seen = await picture();
  const unproven = { ...seen, unproven: { dns: ['fra-2'] } };
  const ill = await refusal(port.commandNode(withdraw('ams-1', unproven)));
  assert.equal(ill?.code, 'FloorReached');
  // No key is left behind for a node that is not there.
  const gone = await refusal(port.commandNode(withdraw('nrt-1', seen)));
  assert.equal(gone?.code, 'InvalidInput');
  // Its own permit is as good as the command.
  await port.commandNode(withdraw('ams-1', await picture()));
});

test(
  'so many withdrawals within the window, and then one must wait',
  { skip, timeout: 30_000 },
  async (t) => {
    const { port, etcd, picture, clock } = await world(t, 1, { most: 1, windowMs: 10_000 });
    await port.commandNode(withdraw('fra-1', await picture()));
    // To be the last choice is no withdrawal.
    await port.commandNode({ ...withdraw('fra-2', await picture()), stance: 'deprefer' });
    clock.ms += 9_999;
    const fact = await refusal(port.commandNode(withdraw('fra-2', await picture())));
    assert.deepEqual(fact, {
      code: 'GovernorFull',
      most: 1,
      windowMs: 10_000,
      freesAtMs: 1_010_000,
    });
    clock.ms += 1;
    await port.commandNode(withdraw('fra-2', await picture()));
    const governor = readKey(await etcd.get(keys.governor), parseGovernor);
    assert.deepEqual(
      governor?.value.withdrawals.map(({ what }) => what),
      ['fra-2: withdraw'],
    );
  },
);

test(
  'traffic goes from a region, never from everywhere and nowhere',
  { skip, timeout: 30_000 },
  async (t) => {
    const { port, picture } = await world(t, 1, PLENTY);
    const traffic = async (over: Partial<TrafficCommand>): Promise<TrafficCommand> => ({
      ...WISH,
      service: 'dns',
      regions: {},
      nodes: {},
      picture: await picture(),
      ...over,
    });
    const problem = async (over: Partial<TrafficCommand>): Promise<string> => {
      const fact = await refusal(port.commandTraffic(await traffic(over)));
      return fact?.code === 'InvalidInput' ? (fact.problems[0] ?? '') : (fact?.code ?? '');
    };
    assert.match(await problem({}), /no region and no node is selected/);
    assert.match(await problem({ regions: { '': 'withdraw' } }), /a region without a name/);
    assert.match(await problem({ regions: { nrt: 'withdraw' } }), /no node in a region nrt/);
    assert.match(await problem({ nodes: { 'nrt-1': 'withdraw' } }), /nrt-1 does not serve dns/);
    assert.match(await problem({ service: 'web' }), /no service web/);
    const all = { fra: 'withdraw', ams: 'withdraw' } as const;
    assert.match(await problem({ regions: all }), /withdrawn from everywhere/);

    const done = await port.commandTraffic(await traffic({ regions: { fra: 'withdraw' } }));
    assert.deepEqual(done.left, { dns: 1 });
    assert.equal(await problem({ regions: { ams: 'withdraw' } }), 'FloorReached');
    // One node comes back before its region, then the region as a whole.
    await port.commandTraffic(await traffic({ nodes: { 'fra-1': 'announce' }, picture: null }));
    // Without its command it goes as its region does, and it is the last one.
    const last = { nodes: { 'fra-1': null }, picture: await picture(['fra-1']) };
    assert.equal(await problem(last), 'FloorReached');
    // Who takes nobody away is in nobody's way: of two at once both are written.
    const raises = ['fra-1', 'fra-2'].map((node) => ({ nodes: { [node]: 'deprefer' as const } }));
    await Promise.all(
      raises.map(async (raise) => port.commandTraffic(await traffic({ ...raise, picture: null }))),
    );
    const none = { 'fra-1': null, 'fra-2': null };
    const back = { regions: { fra: null }, nodes: none, picture: null };
    await port.commandTraffic(await traffic(back));
    const { services } = await port.placement({ service: 'dns' });
    assert.deepEqual([services[0]?.traffic, services[0]?.nodeTraffic], [{}, {}]);
  },
);

test('what is not this controllers is not answered for', { skip, timeout: 30_000 }, async (t) => {
  const { port } = await world(t, 1, PLENTY);
  assert.deepEqual(await port.routingOf(NODES), []);
  const strange = Array.from({ length: 50 }, (_, i) => `nrt-${i}`);
  assert.equal((await refusal(port.routingOf(strange)))?.code, 'StaleFence');
  assert.equal((await refusal(port.countersOf('fra-1', ['203.0.113.10'])))?.code, 'EdgeAbsent');
  assert.deepEqual(await port.seenAt(['203.0.113.10/32'], ['fra-1']), {
    configured: false,
    observers: [],
    unplaced: ['fra-1'],
  });
});
