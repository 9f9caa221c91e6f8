import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { EtcdClient } from './client';
import { Lease } from './lease';
import { LeaseKeeper } from './lease-keeper';
import { until } from '../testing/until';
import { claimed, EtcdCluster, withoutEtcd } from './testing';

/** As thousands of handshakes do: nothing else of this thread runs. */
const holdUp = (ms: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
};

describe('leases kept by a thread', { skip: withoutEtcd }, () => {
  let cluster: EtcdCluster;
  let client: EtcdClient;
  before(async () => {
    cluster = await EtcdCluster.start(1);
    client = new EtcdClient({ endpoints: cluster.urls, writer: 'one' });
  });
  after(async () => {
    client.close();
    await cluster.stop();
  });
  const keeperOf = (hungMs?: number): LeaseKeeper =>
    new LeaseKeeper({
      endpoints: cluster.urls,
      writer: 'keeper',
      tls: null,
      ...(hungMs === undefined ? {} : { hungMs }),
    });

  test('a loop that is held up for longer than a lease lives does not lose it', async (t) => {
    const keeper = keeperOf();
    t.after(() => keeper.close());
    const kept = await keeper.grant(5_000, 200);
    const own = await Lease.grant(client, { ttlMs: 5_000 });
    const owned = await claimed(client, kept, '/kept');
    assert.ok(owned);
    holdUp(7_000);
    assert.equal(own.holds(), false, 'one that this loop keeps is lost');
    assert.equal(kept.holds(), true);
    assert.equal((await client.get('/kept'))?.createRevision, owned.token);
    assert.equal((await owned.write([], [{ op: 'put', key: '/x', value: '' }])).committed, true);
    await kept.revoke();
    assert.equal(kept.holds(), false);
    assert.equal(await client.get('/kept'), null);
  });

  test('a loop that stands still is kept nothing for', async (t) => {
    const keeper = keeperOf(500);
    t.after(() => keeper.close());
    const lease = await keeper.grant(2_000, 200);
    await client.write([], [{ op: 'put', key: '/hung', value: '', leaseId: lease.id }]);
    holdUp(4_500);
    assert.equal(lease.holds(), false);
    await until('it is told', () => lease.ended.aborted);
    await until('etcd lets others in', async () => (await client.get('/hung')) === null);
  });

  test('a lease that is revoked by others is noticed', async (t) => {
    const keeper = keeperOf();
    t.after(() => keeper.close());
    const lease = await keeper.grant(5_000, 200);
    await client.revokeLease(lease.id);
    await until('ended', () => lease.ended.aborted);
    assert.equal(lease.holds(), false);
    assert.match((lease.ended.reason as Error).message, /etcd says that it is gone/);
  });

  test('without etcd there is none, and the next attempt is a new one', async (t) => {
    const keeper = keeperOf();
    t.after(() => keeper.close());
    cluster.signal(0);
    await assert.rejects(keeper.grant(2_000, 200), /no answer/);
    cluster.restart(0);
    const lease = await until('there is one', () => keeper.grant(2_000, 200).catch(() => null));
    assert.equal(lease.holds(), true);
  });
});
