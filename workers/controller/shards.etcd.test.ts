import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { pino } from 'pino';
import { EtcdClient } from '../../adapters/etcd/client';
import { absent } from '../../adapters/etcd/port';
import { EtcdCluster, withoutEtcd } from '../../adapters/etcd/testing';
import { factsOf } from '../../core/model/errors';
import { keys } from '../../core/model/keys';
import { valueText } from '../../core/model/values';
import { shardOf } from '../../core/ring/shard';
import { until } from '../../workflows/testing/until';
import { type ClusterDependencies, ControllerCluster } from './cluster-port';
import { Shards } from './shards';
import { exampleController, nodeResource } from './testing/resources';

const skip = withoutEtcd;
const log = pino({ level: 'silent' });

async function etcdOf(t: TestContext): Promise<EtcdClient> {
  const cluster = await EtcdCluster.start(1);
  const etcd = new EtcdClient({ endpoints: cluster.urls, writer: 'test' });
  t.after(async () => {
    etcd.close();
    await cluster.stop();
  });
  return etcd;
}

/** A controller's hold on shards; `stop` gives it back. */
async function hold(t: TestContext, etcd: EtcdClient, id: string) {
  const shards = new Shards(etcd, id, exampleController(), log);
  const stopping = new AbortController();
  let leases = 0;
  const ended = shards.run(stopping.signal, () => leases++);
  const stop = async () => {
    stopping.abort();
    await ended;
  };
  t.after(stop);
  const lease = (count: number) => until(`lease ${count}`, () => leases >= count);
  await lease(1);
  return { shards, lease, stop };
}

const write = (shards: Shards, value: string) =>
  shards.write(7, [], [{ op: 'put', key: keys.phase('a'), value }]);

const isStale = (error: unknown) => factsOf(error, 'StaleFence') !== null;

test('the owner of a shard writes, nobody else does', { skip }, async (t) => {
  const etcd = await etcdOf(t);
  const one = await hold(t, etcd, 'c1');
  const two = await hold(t, etcd, 'c2');
  assert.equal(await one.shards.claim([7]), true);
  assert.equal(await two.shards.claim([7]), false);
  assert.equal((await write(one.shards, 'one')).committed, true);
  await assert.rejects(write(two.shards, 'two'), isStale);
  await one.stop();
  assert.equal(one.shards.holds(7), false);
  await assert.rejects(write(one.shards, 'one'), isStale);
  assert.equal(await two.shards.claim([7]), true);
  const [former, next] = [one.shards.fence(7), two.shards.fence(7)];
  assert.ok(next!.ownerRevision > former!.ownerRevision);
  assert.equal((await etcd.get(keys.phase('a')))?.value.toString(), 'one');
});

test(
  'an owner whose key was taken away is refused by etcd, and starts anew',
  { skip },
  async (t) => {
    const etcd = await etcdOf(t);
    const { shards } = await hold(t, etcd, 'c1');
    await shards.claim([7]);
    await etcd.write([], [{ op: 'delete', key: keys.owner(7) }]);
    assert.equal(shards.holds(7), true);
    await assert.rejects(write(shards, 'late'), isStale);
    assert.equal(shards.holds(7), false);
    assert.equal(await etcd.get(keys.phase('a')), null);
    assert.equal(await shards.claim([7]), true);
    assert.equal((await write(shards, 'again')).committed, true);
  },
);

test(
  'a second run of one controller takes the shards of the first at once',
  { skip },
  async (t) => {
    const etcd = await etcdOf(t);
    const first = await hold(t, etcd, 'c1');
    await first.shards.claim([7]);
    const lines: string[] = [];
    const telling = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
    const second = new Shards(etcd, 'c1', exampleController(), telling);
    const stopping = new AbortController();
    const ended = second.run(stopping.signal, () => undefined);
    t.after(async () => {
      stopping.abort();
      await ended;
    });
    await until('they are its own', () => second.claim([7]));
    const revoked = lines.some((line) => line.includes('revoking the lease of a former run'));
    assert.ok(revoked, 'it has not waited for that one to run out');
    await assert.rejects(write(first.shards, 'zombie'), isStale);
  },
);

test('after a restore all are fenced by the new incarnation', { skip }, async (t) => {
  const etcd = await etcdOf(t);
  const { shards, lease } = await hold(t, etcd, 'c1');
  await shards.claim([7]);
  assert.equal(shards.fence(7)?.clusterIncarnation, 1);
  const value = valueText({ incarnation: 2, shardCount: 256 });
  await etcd.write([], [{ op: 'put', key: keys.cluster, value }]);
  await assert.rejects(write(shards, 'before'), isStale);
  await lease(2);
  await until('it owns the shard again', () => shards.claim([7]));
  assert.equal(shards.fence(7)?.clusterIncarnation, 2);
  assert.equal((await write(shards, 'after')).committed, true);
});

test(
  'a cluster of another number of shards is not touched',
  { skip, timeout: 20_000 },
  async (t) => {
    const etcd = await etcdOf(t);
    const value = valueText({ incarnation: 1, shardCount: 64 });
    await etcd.write([absent(keys.cluster)], [{ op: 'put', key: keys.cluster, value }]);
    const warnings: string[] = [];
    const shards = new Shards(
      etcd,
      'c1',
      exampleController(),
      pino({ level: 'warn' }, { write: (line: string) => void warnings.push(line) }),
    );
    const stopping = new AbortController();
    const ended = shards.run(stopping.signal, () => undefined);
    await until('it says why', () => warnings.some((line) => line.includes('has 64 shards')));
    assert.equal(await shards.claim([7]), false);
    stopping.abort();
    await ended;
  },
);

test('a removal that is repeated leaves alone what was declared anew', { skip }, async (t) => {
  const etcd = await etcdOf(t);
  const { shards } = await hold(t, etcd, 'c1');
  await shards.claim([shardOf('fra-1')]);
  const cluster = new ControllerCluster({ etcd, shards } as ClusterDependencies);
  const declare = async (deletionRevision: number | null) => {
    const value = valueText({ resource: nodeResource('fra-1', 1), deletionRevision });
    await etcd.write([], [{ op: 'put', key: keys.node('fra-1'), value }]);
  };
  const present = async () => (await etcd.get(keys.node('fra-1'))) !== null;
  await declare(7);
  const command = { stance: 'withdraw', reason: 'it leaves', by: 'me', atMs: 1 } as const;
  const value = valueText({ command });
  await etcd.write([], [{ op: 'put', key: keys.routing('fra-1'), value }]);
  await cluster.removeNode('fra-1', true, 7);
  assert.equal(await present(), false);
  assert.equal(await etcd.get(keys.routing('fra-1')), null, 'another of its name is not drained');
  await declare(null);
  await cluster.removeNode('fra-1', true, 7);
  assert.equal(await present(), true, 'its answer was lost, and it was tried again');
  await assert.rejects(cluster.removeNode('fra-1', false, null), /not marked for deletion/);
  await cluster.removeNode('fra-1', true, null);
  assert.equal(await present(), false, 'by force alone, whatever is there');
});
