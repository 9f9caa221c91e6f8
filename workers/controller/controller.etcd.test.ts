import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { status, type ServiceError } from '@grpc/grpc-js';
import { issuesOf } from '../../adapters/admin/client';
import { EtcdClient } from '../../adapters/etcd/client';
import { withoutEtcd } from '../../adapters/etcd/testing';
import { SHARD_COUNT } from '../../core/model/ids';
import { keys } from '../../core/model/keys';
import type { DriftReport } from '../../core/model/messages';
import { DEFAULT_REPAIR } from '../../core/model/node';
import { until } from '../../workflows/testing/until';
import { MAX_RESOURCES } from './resources';
import { dial, specIn } from './testing/bare-edge';
import { Cluster } from './testing/cluster';
import { nodeResource } from './testing/resources';

const skip = withoutEtcd;

/** A controller that finds etcd and no Temporal. */
async function withoutTemporal(t: TestContext): Promise<Cluster> {
  const cluster = await Cluster.start(t, { temporal: false });
  await cluster.startController();
  await cluster.ready();
  return cluster;
}

/** The only controller there is owns all. */
const owned = (cluster: Cluster) =>
  until('all shards are owned', async () => {
    const { shardsOwned } = await cluster.admin.status();
    return shardsOwned === SHARD_COUNT;
  });

const report = (node: string): DriftReport => ({
  node,
  incidentId: 'inc-1',
  revision: 1,
  specHash: '',
  planHash: '',
  findings: [],
  cause: 'kernel',
  kernelAtMs: 1,
  detectedAtMs: 1,
  suspect: null,
  plan: [],
  policy: DEFAULT_REPAIR,
  frozen: { local: false, node: false, global: false },
  budget: { used: 0, freesAtMs: null },
  recurring: null,
});

test(
  'without Temporal a controller serves, stores and tells so',
  { skip, timeout: 60_000 },
  async (t) => {
    const cluster = await withoutTemporal(t);
    const [written] = await cluster.admin.apply([nodeResource('fra-1', 1)], null);
    assert.equal(written?.action, 'create');
    const edge = dial(t, cluster, await cluster.certificate('edge', 'fra-1'));
    await edge.welcomed();
    const found = await until('the node is seen', async () => {
      const [view] = await cluster.admin.get();
      return view?.connected ? view : null;
    });
    assert.equal(found.phase, null);
    assert.match(found.note ?? '', /not onboarded, and Temporal is not in reach/);
    await assert.rejects(cluster.admin.audit(), /UNAVAILABLE: Temporal at .* nothing was done/);
    const metrics = await (await fetch(`http://127.0.0.1:${cluster.metricsPort}/metrics`)).text();
    assert.match(metrics, /^aether_controller_connected_edges 1$/m);
    assert.match(metrics, /^aether_controller_temporal_up 0$/m);
  },
);

test(
  'without etcd a controller serves edges and operators, and catches up',
  { skip, timeout: 60_000 },
  async (t) => {
    const cluster = await Cluster.start(t, { temporal: false });
    cluster.etcd.signal(0);
    await cluster.startController();
    const edge = dial(t, cluster, await cluster.certificate('edge', 'fra-1'));
    await edge.welcomed();
    const blind = await cluster.admin.status();
    assert.deepEqual(
      [blind.etcd.ok, blind.nodes],
      [false, null],
      'how many there are, nobody knows',
    );
    await until('it is told why', async () => {
      const { problem } = (await cluster.admin.status()).etcd;
      return problem?.includes(cluster.etcd.urls[0] ?? '?');
    });
    await assert.rejects(cluster.admin.get(), /UNAVAILABLE: etcd was not in reach/);
    cluster.etcd.restart(0);
    await until('a write succeeds', () =>
      cluster.admin.apply([nodeResource('fra-1', 1)], null).catch(() => null),
    );
    const { etcd, nodes } = await cluster.admin.status();
    assert.deepEqual([etcd.ok, etcd.problem, nodes?.connected], [true, null, 1]);
    await until('the edge is asked what it knows, once it can be', () =>
      edge.heard.some(({ message }) => message === 'statusRequest'),
    );
  },
);

test('only the certificate says who an edge is', { skip, timeout: 60_000 }, async (t) => {
  const cluster = await withoutTemporal(t);

  await t.test('one of another role gets no stream', async (t) => {
    const impostor = dial(t, cluster, await cluster.certificate('operator', 'fra-1'));
    assert.match(await impostor.refused(), /not that of an edge/);
  });

  await t.test('an edge that speaks for another one loses its stream', async (t) => {
    const edge = dial(t, cluster, await cluster.certificate('edge', 'fra-1'));
    await edge.welcomed();
    const reportJson = Buffer.from(JSON.stringify(report('fra-2')));
    edge.say({ message: 'drift', drift: { reportJson } });
    assert.match(await edge.refused(), /it speaks for fra-2/);
    assert.ok(!edge.heard.some(({ message }) => message === 'driftAck'));
  });

  await t.test('what cannot be read ends the stream, not the controller', async (t) => {
    for (const bytes of ['{', 'null', '{"node":"fra-1"}', '\xff']) {
      const edge = dial(t, cluster, await cluster.certificate('edge', 'fra-1'));
      await edge.welcomed();
      edge.say({ message: 'drift', drift: { reportJson: Buffer.from(bytes, 'latin1') } });
      assert.match(await edge.refused(), /the report is refused/);
      edge.close();
    }
    assert.equal((await cluster.admin.status()).controller, 'c1');
  });
});

test(
  'a set of resources is written as a whole or not at all',
  { skip, timeout: 60_000 },
  async (t) => {
    const cluster = await withoutTemporal(t);
    const { admin } = cluster;
    const names = async () => (await admin.get()).map(({ name }) => name);
    const failure = (attempt: Promise<unknown>) =>
      attempt.then(
        () => assert.fail('it was not refused'),
        (error: ServiceError) => error,
      );

    await t.test('one that is wrong', async () => {
      const wrong = nodeResource('fra-2', 2);
      wrong.spec.namespaces[0]!.links[0]!.mtu = 1;
      const error = await failure(admin.apply([nodeResource('fra-1', 1), wrong], null));
      assert.equal(error.code, status.INVALID_ARGUMENT);
      const [issue] = issuesOf(error);
      assert.deepEqual(issue?.path, ['spec', 'namespaces', 0, 'links', 0, 'mtu']);
      assert.equal(issue?.index, 1);
      assert.deepEqual(await names(), []);
    });

    await t.test('two that hold one address, one of them written before', async () => {
      await admin.apply([nodeResource('fra-1', 1)], null);
      const error = await failure(
        admin.apply([nodeResource('fra-2', 2), nodeResource('fra-3', 1)], null),
      );
      assert.equal(error.code, status.INVALID_ARGUMENT);
      assert.deepEqual(
        issuesOf(error).map(({ node, index }) => [node, index]),
        [['fra-3', 1]],
      );
      // What was written is heard of by the watch.
      await until('the first alone is there', async () => (await names()).join() === 'fra-1');
    });

    await t.test('one that has changed since it was planned', async () => {
      const next = nodeResource('fra-1', 1);
      next.metadata.labels = { tier: 'edge' };
      const planned = await admin.plan([nodeResource('fra-2', 2), next]);
      await admin.apply([next], null);
      const error = await failure(
        admin.apply(
          [nodeResource('fra-2', 2), next],
          planned.map(({ revision }) => revision),
        ),
      );
      assert.equal(error.code, status.ABORTED);
      assert.deepEqual(await names(), ['fra-1']);
    });

    await t.test('again is no change', async () => {
      const [again] = await admin.apply([nodeResource('fra-1', 4)], null);
      assert.equal(again?.action, 'update');
      const [none] = await admin.apply([nodeResource('fra-1', 4)], null);
      assert.deepEqual([none?.action, none?.differences], ['none', []]);
      assert.equal(none?.revision, again?.revision);
    });

    await t.test('as many as fit into one write, and not one more', async () => {
      const many = (count: number) =>
        Array.from({ length: count }, (_, i) => nodeResource(`many-${i}`, 100 + i));
      await admin.apply(many(MAX_RESOURCES), null);
      const error = await failure(admin.apply(many(MAX_RESOURCES + 1), null));
      assert.equal(error.code, status.INVALID_ARGUMENT);
      assert.match(issuesOf(error)[0]?.expected ?? '', /at most 60/);
    });

    await t.test('of two at once that would hold one address, one is refused', async () => {
      const outcomes = await Promise.allSettled([
        admin.apply([nodeResource('ams-1', 9)], null),
        cluster.admin.apply([nodeResource('ams-2', 9)], null),
      ]);
      assert.deepEqual(outcomes.map((outcome) => outcome.status).sort(), ['fulfilled', 'rejected']);
    });
  },
);

test(
  'marked for deletion, a node is not changed any more; force needs Temporal',
  { skip, timeout: 60_000 },
  async (t) => {
    const cluster = await withoutTemporal(t);
    await cluster.admin.apply([nodeResource('fra-1', 1)], null);
    await owned(cluster);
    const marked = await cluster.admin.delete('fra-1', false);
    assert.equal(marked.workflowId, 'node/fra-1/decommission');
    assert.deepEqual(await cluster.admin.delete('fra-1', false), marked);
    await assert.rejects(
      cluster.admin.apply([nodeResource('fra-1', 1)], null),
      /FAILED_PRECONDITION.*being deleted/,
    );
    await assert.rejects(
      cluster.admin.delete('fra-1', true),
      /UNAVAILABLE: Temporal at .* nothing/,
    );
    await assert.rejects(cluster.admin.delete('fra-2', false), /NOT_FOUND/);
  },
);

test(
  'a value in etcd that cannot be read changes nothing, and is told',
  { skip, timeout: 60_000 },
  async (t) => {
    const cluster = await withoutTemporal(t);
    await cluster.admin.apply([nodeResource('fra-1', 1)], null);
    const etcd = new EtcdClient({ endpoints: cluster.etcd.urls, writer: 'test' });
    t.after(() => etcd.close());
    await etcd.write([], [{ op: 'put', key: keys.node('fra-1'), value: '{"oops"' }]);
    await until('it is told', () => cluster.log('controller').includes('the last good one stands'));
    assert.deepEqual(
      (await cluster.admin.get()).map(({ name }) => name),
      ['fra-1'],
    );
    await assert.rejects(
      cluster.admin.apply([nodeResource('fra-2', 2)], null),
      /FAILED_PRECONDITION: The key .*nodes\/fra-1 in etcd can't be read/,
    );
  },
);

test(
  'told to stop, it gives its shards back and leaves no socket',
  { skip, timeout: 60_000 },
  async (t) => {
    const cluster = await withoutTemporal(t);
    await cluster.admin.apply([nodeResource('fra-1', 1)], null);
    await owned(cluster);
    const etcd = new EtcdClient({ endpoints: cluster.etcd.urls, writer: 'test' });
    t.after(() => etcd.close());
    assert.equal((await etcd.list({ prefix: keys.owners })).entries.length, SHARD_COUNT);
    await cluster.stopController('SIGTERM');
    assert.equal(cluster.controller.exitCode, 0);
    assert.deepEqual((await etcd.list({ prefix: keys.owners })).entries, []);
    assert.equal(existsSync(cluster.socket), false);
  },
);

test(
  'one that starts after a key that cannot be read takes it for no absent one',
  { skip, timeout: 60_000 },
  async (t) => {
    const cluster = await withoutTemporal(t);
    const etcd = new EtcdClient({ endpoints: cluster.etcd.urls, writer: 'test' });
    t.after(() => etcd.close());
    const put = (key: string, value: object) =>
      etcd.write([], [{ op: 'put', key, value: JSON.stringify(value) }]);
    await cluster.admin.apply([nodeResource('fra-1', 1)], null);
    await put(keys.phase('fra-1'), { phase: 'active' });
    await cluster.admin.freeze(null, true, 'look');
    const edge = dial(t, cluster, await cluster.certificate('edge', 'fra-1'));
    await edge.spec('it is frozen', ({ frozen }) => frozen.global);

    await cluster.stopController('SIGKILL');
    const before = edge.heard.length;
    await put(keys.freeze, { frozen: true, reason: 'look', by: 'me', atMs: 1, later: 1 });
    await cluster.startController();
    await owned(cluster);
    await until('the key is named', async () => {
      const [view] = await cluster.admin.get();
      return view?.connected && view.note?.startsWith(`${keys.freeze} in etcd can't be read`);
    });
    await cluster.admin.freeze(null, true, 'look again');
    const since = await until('it is mended by another word', () => {
      const specs = edge.heard.slice(before).flatMap(specIn);
      return specs.length > 0 && specs;
    });
    assert.deepEqual(
      since.filter(({ frozen }) => !frozen.global),
      [],
    );
  },
);

test(
  'a second controller does not take the socket of the first',
  { skip, timeout: 60_000 },
  async (t) => {
    const cluster = await withoutTemporal(t);
    const first = cluster.controller;
    await assert.rejects(
      cluster.startController({
        AETHER_EDGE_LISTEN: '127.0.0.1:0',
        AETHER_ADMIN_LISTEN: '127.0.0.1:0',
        AETHER_METRICS_LISTEN: '127.0.0.1:0',
      }),
      /the controller ended/,
    );
    assert.match(cluster.log('controller'), /another process serves .*admin.sock/);
    assert.equal((await cluster.admin.status()).controller, 'c1');
    assert.equal(statSync(cluster.socket).mode & 0o777, 0o600);
    assert.equal(first.exitCode, null);
  },
);

test('a mistake in the configuration is told in one line', { skip, timeout: 60_000 }, async (t) => {
  const cluster = await Cluster.start(t, { temporal: false });
  await assert.rejects(cluster.startController({ AETHER_AUDIT_EVERY: 'often' }), /ended/);
  assert.equal(
    cluster.log('controller'),
    'AETHER_AUDIT_EVERY="often" is no duration of at least 1s; use one such as 15m\n',
  );
});
