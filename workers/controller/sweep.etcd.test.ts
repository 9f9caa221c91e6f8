import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { pino } from 'pino';
import { ChunkStore } from '../../adapters/etcd/chunks';
import { EtcdClient } from '../../adapters/etcd/client';
import { absent } from '../../adapters/etcd/port';
import { EtcdCluster, withoutEtcd } from '../../adapters/etcd/testing';
import { prefixSet } from '../../core/filter/algebra';
import { piecesOf } from '../../core/filter/feed-refresh';
import { keys } from '../../core/model/keys';
import { valueText } from '../../core/model/values';
import { Blobs } from './blobs';
import { DesiredState } from './desired';
import { BLOCK_GRACE_MS, CHUNK_GRACE_MS, Sweep } from './sweep';

async function world(t: TestContext) {
  const cluster = await EtcdCluster.start(1);
  t.after(() => cluster.stop());
  const etcd = new EtcdClient({ endpoints: cluster.urls, writer: 'test' });
  t.after(() => etcd.close());
  const desired = new DesiredState();
  const look = async (): Promise<void> => {
    const { revision, entries } = await etcd.list({ prefix: keys.root });
    desired.apply({ kind: 'snapshot', revision, entries });
  };
  await look();
  const time = { ms: 1_000_000 };
  const sweep = new Sweep({
    etcd,
    desired,
    guard: () => absent(keys.cluster),
    log: pino({ level: 'silent' }),
    now: () => time.ms,
    clock: () => time.ms,
  });
  const chunks = new ChunkStore(etcd);
  const put = (key: string, value: string) => etcd.write([], [{ op: 'put', key, value }]);
  const count = async (prefix: string) => (await etcd.revisions(prefix)).size;
  return { etcd, look, time, sweep, chunks, put, count };
}

test(
  'blocks that have run out go, a while after; others stay',
  { skip: withoutEtcd },
  async (t) => {
    const { look, time, sweep, put, count } = await world(t);
    const block = (prefix: string, untilMs: number | null) =>
      put(
        keys.block(prefix),
        valueText({ prefix, reason: '', by: 'me', atMs: 1, untilMs, nodes: { tier: 'edge' } }),
      );
    await block('192.0.2.1/32', time.ms);
    await block('192.0.2.2/32', time.ms + BLOCK_GRACE_MS);
    await block('2001:db8::/32', null);
    await look();
    await sweep.run();
    assert.equal(await count(keys.blocks), 3);
    time.ms += BLOCK_GRACE_MS;
    await sweep.run();
    assert.equal(await count(keys.blocks), 2);
    assert.equal(await count(keys.unbounds), 1, 'its nodes are told at a higher revision');
    time.ms += 100 * BLOCK_GRACE_MS;
    await look();
    await sweep.run();
    assert.equal(await count(keys.blocks), 1);
  },
);

test('pieces go when nothing has named them for a while', { skip: withoutEtcd }, async (t) => {
  const { etcd, look, time, sweep, chunks, put, count } = await world(t);
  const blobs = new Blobs(chunks);
  const ref = await blobs.save(piecesOf(prefixSet(['192.0.2.0/24'])), []);
  const other = await blobs.save(piecesOf(prefixSet(['198.51.100.0/24'])), []);
  const list = (blob: typeof ref) =>
    put(
      keys.blocklist('bad'),
      valueText({
        resource: {
          apiVersion: 'aether.dev/v1',
          kind: 'Blocklist',
          metadata: { name: 'bad', labels: {} },
          spec: { nodes: { tier: 'edge' }, mode: 'enforce', entries: [], feed: null },
        },
        blob,
      }),
    );
  await list(ref);
  await look();
  const later = async (ms: number): Promise<number> => {
    time.ms += ms;
    await sweep.run();
    return count(keys.chunks);
  };
  assert.equal(await later(0), 2);
  assert.equal(await later(CHUNK_GRACE_MS - 1), 2);
  // Somebody is about to name the other one: he writes it again.
  await blobs.save(piecesOf(prefixSet(['198.51.100.0/24'])), []);
  assert.equal(await later(1), 2, 'it was written anew');
  await list(other);
  assert.equal(await later(0), 2);
  assert.equal(await later(CHUNK_GRACE_MS), 1, 'now the first one is gone');
  assert.equal(await chunks.get(ref.chunks[0]!.sha256), null);
  assert.ok(await chunks.get(other.chunks[0]!.sha256));

  await t.test('but none while a key that may name them cannot be read', async () => {
    await etcd.write([], [{ op: 'put', key: keys.blocklist('odd'), value: '{' }]);
    await blobs.save(piecesOf(prefixSet(['203.0.113.0/24'])), []);
    await assert.rejects(later(CHUNK_GRACE_MS), /can't be read/);
    await assert.rejects(later(CHUNK_GRACE_MS), /can't be read/);
    assert.equal(await count(keys.chunks), 2);
  });
});

test(
  'a blob of several pieces comes back whole; what is kept is not written again',
  { skip: withoutEtcd },
  async (t) => {
    const { etcd, chunks } = await world(t);
    const many = piecesOf(
      prefixSet(
        Array.from(
          { length: 60_000 },
          (_, i) => `10.${i >> 12}.${(i >> 4) & 255}.${(i & 15) << 4}`,
        ),
      ),
    );
    const blobs = new Blobs(chunks);
    const ref = await blobs.save(many, []);
    assert.ok(ref.chunks.length >= 1);
    const before = await etcd.revisions(keys.chunks);
    const whole = await blobs.packed(ref);
    assert.ok(whole.ok);
    assert.ok(Buffer.concat(many.chunks).equals(whole.blob));
    await blobs.save(many, [null, ref]);
    assert.deepEqual(await etcd.revisions(keys.chunks), before);
    await blobs.save(many, []);
    assert.notDeepEqual(await etcd.revisions(keys.chunks), before);
    await etcd.write([], [{ op: 'delete', key: keys.chunk(ref.chunks[0]!.sha256) }]);
    const lost = await new Blobs(new ChunkStore(etcd)).packed(ref);
    assert.ok(!lost.ok && lost.error.kind === 'chunkMissing');
  },
);
