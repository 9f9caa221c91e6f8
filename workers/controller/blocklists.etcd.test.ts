import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { status, type ServiceError } from '@grpc/grpc-js';
import { issuesOf } from '../../adapters/admin/client';
import { EtcdClient } from '../../adapters/etcd/client';
import { withoutEtcd } from '../../adapters/etcd/testing';
import { prefixTexts } from '../../core/filter/algebra';
import { join, unpack } from '../../core/filter/blob';
import { applyDelta } from '../../core/filter/delta';
import type { BlobRef, BlocklistResource } from '../../core/model/blocklist';
import { sha256Of } from '../../core/model/hash';
import { keys } from '../../core/model/keys';
import { plainFilter, type NodeResource } from '../../core/model/node';
import { validateBlocklist } from '../../core/model/schema-blocklist';
import { valueText } from '../../core/model/values';
import { until } from '../../workflows/testing/until';
import { dial } from './testing/bare-edge';
import { Cluster } from './testing/cluster';
import { nodeResource } from './testing/resources';

const skip = withoutEtcd;

const node = (name: string, octet: number, tier: string, failsafe: string[] = []): NodeResource => {
  const resource = nodeResource(name, octet);
  resource.metadata.labels = { tier };
  resource.spec.filters = [{ ...plainFilter('uplink0'), failsafe }];
  return resource;
};

function blocklist(name: string, spec: object): BlocklistResource {
  const json = { apiVersion: 'aether.dev/v1', kind: 'Blocklist', metadata: { name }, spec };
  const result = validateBlocklist(json);
  assert.ok(result.ok, JSON.stringify(result));
  return result.resource;
}

/** A controller, and nodes that are active without anybody who onboards them. */
async function withNodes(t: TestContext, ...nodes: NodeResource[]) {
  const cluster = await Cluster.start(t, { temporal: false });
  await cluster.startController();
  await cluster.ready();
  const { admin } = cluster;
  await admin.apply(nodes, null);
  const etcd = new EtcdClient({ endpoints: cluster.etcd.urls, writer: 'test' });
  t.after(() => etcd.close());
  for (const { metadata } of nodes) {
    const value = valueText({ phase: 'active' });
    await etcd.write([], [{ op: 'put', key: keys.phase(metadata.name), value }]);
  }
  const edges = await Promise.all(
    nodes.map(async ({ metadata }) => {
      const edge = dial(t, cluster, await cluster.certificate('edge', metadata.name));
      await edge.spec('a first spec', () => true);
      return edge;
    }),
  );
  return { cluster, admin, etcd, edges };
}

type Edge = ReturnType<typeof dial>;

/** A blob, fetched as an edge does it. */
async function blobOf(edge: Edge, blob: BlobRef): Promise<Uint8Array> {
  const wanted = blob.chunks.map(({ sha256 }) => sha256);
  edge.say({ message: 'chunkRequest', chunkRequest: { sha256: wanted } });
  const chunk = (sha256: string) =>
    edge.heard.flatMap((down) =>
      down.message === 'chunk' && down.chunk.sha256 === sha256 ? [down.chunk] : [],
    )[0];
  await until('all chunks', () => wanted.every((sha256) => chunk(sha256) !== undefined));
  const joined = join(blob, (sha256) => chunk(sha256)?.data ?? null);
  assert.ok(joined.ok, JSON.stringify(joined));
  return joined.blob;
}

async function fetched(edge: Edge, blob: BlobRef): Promise<string[]> {
  const unpacked = unpack(await blobOf(edge, blob));
  assert.ok(unpacked.ok);
  return prefixTexts(unpacked.set);
}

const failure = (attempt: Promise<unknown>): Promise<ServiceError> =>
  attempt.then(
    () => assert.fail('it was not refused'),
    (error: ServiceError) => error,
  );

test(
  'a blocklist reaches the edges that it selects, chunk by chunk',
  { skip, timeout: 60_000 },
  async (t) => {
    const nodes = [node('fra-1', 1, 'edge'), node('fra-2', 2, 'core')];
    const { admin, etcd, edges } = await withNodes(t, ...nodes);
    const [edge, other] = edges as [Edge, Edge];
    const pushes = (each: Edge) => each.heard.filter(({ message }) => message === 'spec').length;
    const otherPushes = pushes(other);

    await t.test('its permanent entries as a blob, the others as blocks', async () => {
      const entries = [
        '192.0.2.0/24',
        '2001:db8::/32',
        { prefix: '198.51.100.7', reason: 'scan', expires: '2099-01-01T00:00:00Z' },
      ];
      const [change] = await admin.apply(
        [blocklist('bad', { nodes: { tier: 'edge' }, entries })],
        null,
      );
      assert.equal(change?.action, 'create');
      const spec = await edge.spec('the list', ({ blocklists }) => blocklists.length > 0);
      const [list] = spec.blocklists;
      assert.ok(list);
      assert.equal(spec.revision, change?.revision);
      assert.deepEqual([list.name, list.mode, list.blob.count], ['bad', 'enforce', 2]);
      assert.deepEqual(await fetched(edge, list.blob), ['192.0.2.0/24', '2001:db8::/32']);
      assert.deepEqual(spec.blocks, [
        { prefix: '198.51.100.7/32', reason: 'scan', untilMs: 4_070_908_800_000 },
      ]);
      assert.equal(pushes(other), otherPushes, 'the other node is not concerned');
    });

    await t.test('only to those whose spec names them', async () => {
      const [chunk] = (await edge.spec('it', (s) => s.blocklists.length > 0)).blocklists[0]!.blob
        .chunks;
      const sha256 = [chunk!.sha256];
      other.say({ message: 'chunkRequest', chunkRequest: { sha256 } });
      const answer = await until(
        'an answer',
        () => other.heard.flatMap((down) => (down.message === 'chunk' ? [down.chunk] : []))[0],
      );
      assert.deepEqual([answer.missing, answer.data.length], [true, 0]);
    });

    await t.test('is told of: get, describe, plan', async () => {
      const [view] = await admin.getBlocklists();
      assert.deepEqual([view?.name, view?.count, view?.temporary], ['bad', 2, 1]);
      assert.deepEqual([view?.bound, view?.applied, view?.feed], [1, 0, null]);
      const description = await admin.describeBlocklist('bad');
      assert.deepEqual(description.nodes, [
        { node: 'fra-1', connected: true, applied: false, note: null },
      ]);
      const spec = await edge.spec('it', (s) => s.blocklists.length > 0);
      const { revision } = spec;
      const heard = edge.heard.filter((down) => down.message === 'spec').at(-1);
      const hash = heard?.message === 'spec' ? heard.spec.hash : '';
      edge.say({ message: 'applied', applied: { revision, hash } });
      await until('applied', async () => (await admin.getBlocklists('bad'))[0]?.applied === 1);
      const next = blocklist('bad', { nodes: { tier: 'edge' }, entries: ['192.0.2.0/25'] });
      const [planned] = await admin.plan([next]);
      assert.equal(planned?.action, 'update');
      assert.ok(planned.differences.includes('+ spec.entries[192.0.2.0/25]: "192.0.2.0/25"'));
    });

    await t.test('changed, as what has changed since the version that the edge has', async () => {
      const former = (await edge.spec('it', (s) => s.blocklists.length > 0)).blocklists[0]!.blob;
      const before = await blobOf(edge, former);
      const resource = (...entries: string[]) =>
        blocklist('bad', { nodes: { tier: 'edge' }, entries });
      await admin.apply([resource('192.0.2.0/24', '2001:db8::/32', '203.0.113.9')], null);
      const { blocklists } = await edge.spec(
        'the next one',
        (s) => s.blocklists[0]?.blob.count === 3,
      );
      const { sha256: to } = blocklists[0]!.blob;
      const fromChunks = former.chunks.map(({ sha256 }) => sha256);
      const deltaRequest = { from: former.sha256, to, fromChunks };
      edge.say({ message: 'deltaRequest', deltaRequest });
      const delta = await until(
        'a delta',
        () => edge.heard.flatMap((down) => (down.message === 'delta' ? [down.delta] : []))[0],
      );
      assert.deepEqual([delta.from, delta.to, delta.missing], [former.sha256, to, false]);
      const after = applyDelta(before, delta.data);
      assert.ok(after);
      assert.equal(sha256Of(after), to);
    });

    await t.test(
      'moves with its selector; who loses it hears of it at a higher revision',
      async () => {
        const before = (await edge.spec('it', (s) => s.blocklists.length > 0)).revision;
        const moved = blocklist('bad', { nodes: { tier: 'core' }, entries: ['192.0.2.0/24'] });
        await admin.apply([moved], null);
        await other.spec('the list, there', ({ blocklists }) => blocklists.length === 1);
        const lost = await edge.spec(
          'no list',
          (s) => s.blocklists.length === 0 && s.revision > before,
        );
        assert.deepEqual(lost.blocks, []);
      },
    );

    await t.test('goes when it is deleted', async () => {
      const deleted = await admin.delete('bad', false, 'Blocklist');
      assert.equal(deleted.workflowId, '');
      await other.spec(
        'no list',
        (s) => s.blocklists.length === 0 && s.revision >= deleted.deletionRevision,
      );
      assert.deepEqual(await admin.getBlocklists(), []);
      assert.equal((await failure(admin.delete('bad', false, 'Blocklist'))).code, status.NOT_FOUND);
      assert.equal((await etcd.list({ prefix: keys.blocklists })).entries.length, 0);
    });
  },
);

test(
  'what is failsafe is not blocked: not by a list, not by hand',
  { skip, timeout: 60_000 },
  async (t) => {
    const { admin } = await withNodes(t, node('fra-1', 1, 'edge', ['192.0.2.7']));

    await t.test('a list with such an entry is refused at its place', async () => {
      const list = blocklist('bad', {
        nodes: { tier: 'edge' },
        entries: ['10.0.0.0/8', '192.0.2.0/24'],
      });
      const error = await failure(admin.apply([list], null));
      assert.equal(error.code, status.INVALID_ARGUMENT);
      const [issue] = issuesOf(error);
      assert.deepEqual([issue?.index, issue?.path], [0, ['spec', 'entries', 1]]);
      assert.match(issue?.message ?? '', /192\.0\.2\.7\/32, which is failsafe on node "fra-1"/);
    });

    const request = { blocked: true, reason: 'r', forMs: 0, nodes: {}, force: false };
    await t.test('a block names the node and the prefix, also with force', async () => {
      for (const force of [false, true]) {
        const error = await failure(admin.block({ ...request, prefix: '192.0.2.0/24', force }));
        assert.equal(error.code, status.FAILED_PRECONDITION);
        assert.match(error.details, /192\.0\.2\.7\/32, which is failsafe on node fra-1/);
      }
    });

    await t.test('nor is everything, unless that is meant', async () => {
      for (const prefix of ['0.0.0.0/0', '::/0', '64.0.0.0/4', '2000::/3']) {
        const error = await failure(admin.block({ ...request, prefix }));
        assert.equal(error.code, status.FAILED_PRECONDITION, prefix);
        assert.match(error.details, /--force/);
      }
      await admin.block({ ...request, prefix: '64.0.0.0/4', force: true });
    });

    await t.test('slips are told', async () => {
      for (const [prefix, said] of [
        ['nonsense', /is no prefix/],
        ['198.51.100.1/24', /is 198\.51\.100\.0\/24 meant/],
      ] as const) {
        const error = await failure(admin.block({ ...request, prefix }));
        assert.equal(error.code, status.INVALID_ARGUMENT);
        assert.match(error.details, said);
      }
      for (const [slip, said] of [
        [{ nodes: { tier: 'edges' } }, /No node has the labels tier=edges/],
        [{ reason: 'a\nb' }, /one line of at most 200 characters/],
        [{ forMs: 8.64e15 }, /there is no date so far away/],
      ] as const) {
        const error = await failure(admin.block({ ...request, prefix: '198.51.100.1', ...slip }));
        assert.match(error.details, said);
      }
      await assert.rejects(admin.getBlocks('198.51.100.1'), /is not blocked by hand/);
    });
  },
);

test(
  'a prefix is blocked and unblocked by hand, frozen or not',
  { skip, timeout: 60_000 },
  async (t) => {
    const nodes = [node('fra-1', 1, 'edge'), node('fra-2', 2, 'core')];
    const { cluster, admin, edges } = await withNodes(t, ...nodes);
    const [edge, other] = edges as [Edge, Edge];
    const request = { reason: 'flood', forMs: 3_600_000, nodes: {}, force: false };
    await admin.freeze(null, true, 'test');
    const [began, beganAtMs] = [performance.now(), Date.now()];

    const answer = await admin.block({ ...request, prefix: '203.0.113.9', blocked: true });
    // A write and no more; a workflow or a refresh would be waited for by far longer, on a busy machine or not.
    assert.ok(performance.now() - began < 10_000, 'answered at once');
    assert.deepEqual(answer.nodes, ['fra-1', 'fra-2']);
    assert.deepEqual(answer.connected, ['fra-1', 'fra-2']);
    for (const each of [edge, other]) {
      const spec = await each.spec('the block', ({ blocks }) => blocks.length === 1);
      assert.equal(spec.frozen.global, true);
      const [block] = spec.blocks;
      assert.deepEqual([block?.prefix, block?.reason], ['203.0.113.9/32', 'flood']);
      assert.ok(Math.abs((block?.untilMs ?? 0) - beganAtMs - 3_600_000) < 5_000);
    }

    const [listed] = await admin.getBlocks('203.0.113.9');
    assert.deepEqual([listed?.prefix, listed?.by, listed?.bound], ['203.0.113.9/32', 'tester', 2]);

    const again = { ...request, prefix: '203.0.113.9', blocked: true, nodes: { tier: 'core' } };
    await admin.block(again);
    // Who is left out hears of it; the spec of before the block had none either.
    await edge.spec('free', (s) => s.blocks.length === 0 && s.revision > answer.revision);

    const lifted = await admin.block({ ...request, prefix: '203.0.113.9/32', blocked: false });
    assert.deepEqual(lifted.nodes, ['fra-2']);
    await other.spec(
      'free',
      (spec) => spec.blocks.length === 0 && spec.revision >= lifted.revision,
    );
    const error = await failure(admin.block({ ...request, prefix: '203.0.113.9', blocked: false }));
    assert.equal(error.code, status.NOT_FOUND);
    const lines = [
      /"audit":true,"by":"tester","verb":"block","object":"203\.0\.113\.9".*"outcome":"done"/,
      /"audit":true.*"verb":"unblock"/,
    ];
    // Its log comes to us through a pipe, later than its answer.
    const logged = (): boolean => lines.every((line) => line.test(cluster.log('controller')));
    await until('both acts are in the log', logged);
  },
);
