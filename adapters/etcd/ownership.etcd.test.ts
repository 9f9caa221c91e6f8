import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { EtcdClient } from './client';
import { EtcdError } from './errors';
import { Lease } from './lease';
import { until } from '../testing/until';
import { claimed, EtcdCluster, owned, Proxy, withoutEtcd } from './testing';

describe('lease and ownership', { skip: withoutEtcd }, () => {
  let cluster: EtcdCluster;
  let client: EtcdClient;
  let other: EtcdClient;
  before(async () => {
    cluster = await EtcdCluster.start(3);
    client = new EtcdClient({ endpoints: cluster.urls, writer: 'one' });
    other = new EtcdClient({ endpoints: cluster.urls, writer: 'other' });
  });
  after(async () => {
    client.close();
    other.close();
    await cluster.stop();
  });

  const isFailure = (code: string) => (error: unknown) =>
    error instanceof EtcdError && error.failure.code === code;

  test('a lease lives as long as it is kept, and is given back with its keys', async () => {
    const lease = await Lease.grant(client, { ttlMs: 1000 });
    await client.write([], [{ op: 'put', key: '/kept', value: '', leaseId: lease.id }]);
    const grantedAt = performance.now();
    await until('three lifetimes', () => {
      assert(lease.holds());
      return performance.now() - grantedAt > 3000;
    });
    assert.equal((await client.get('/kept'))?.leaseId, lease.id);
    await lease.revoke();
    assert(!lease.holds() && lease.ended.aborted);
    assert.equal(await client.get('/kept'), null);
  });

  test('a holder that is cut off stops before the server lets anybody else in', async (t) => {
    const proxies = await Proxy.toAll(cluster.urls);
    const cutOff = new EtcdClient({ endpoints: proxies.map((p) => p.url), writer: 'cut-off' });
    const lease = await Lease.grant(cutOff, { ttlMs: 2000 });
    const owner = await owned(cutOff, lease, '/own/cut-off');
    const heir = await Lease.grant(other, { ttlMs: 5000 });
    const inherited = owned(other, heir, '/own/cut-off').then((o) => {
      return { owner: o, atMs: performance.now() };
    });
    for (const proxy of proxies) proxy.swallow(true);
    await until('its own guard ends', () => !owner.holds());
    const endedAtMs = performance.now();
    const next = await inherited;
    t.diagnostic(`guard ended ${Math.round(next.atMs - endedAtMs)} ms before the heir owned it`);
    assert(next.atMs > endedAtMs);
    assert(next.owner.token > owner.token);
    await assert.rejects(owner.write([], []), isFailure('leaseEnded'));
    await until('told', () => lease.ended.aborted);
    await heir.revoke();
    cutOff.close();
    await Promise.all(proxies.map((p) => p.close()));
  });

  test('a lease survives the death of the leader', async () => {
    const lease = await Lease.grant(client, { ttlMs: 2000 });
    const owner = await owned(client, lease, '/own/leader');
    const leader = await until('a leader', () => cluster.leader());
    cluster.signal(leader);
    const killedAt = performance.now();
    await until('two lifetimes', () => {
      assert(owner.holds());
      return performance.now() - killedAt > 4000;
    });
    assert.equal((await client.get('/own/leader'))?.createRevision, owner.token);
    cluster.restart(leader);
    await lease.revoke();
  });

  test('a revoked lease is noticed by its holder', async () => {
    const lease = await Lease.grant(client, { ttlMs: 3000 });
    await other.revokeLease(lease.id);
    await until('ended', () => lease.ended.aborted, 2000);
    assert(!lease.holds());
  });

  test('hands over on release, and refuses the former owner', async (t) => {
    const key = '/own/hand-over';
    const mine = await Lease.grant(client, { ttlMs: 5000 });
    const theirs = await Lease.grant(other, { ttlMs: 5000 });
    const first = await owned(client, mine, key);
    assert.equal(await claimed(other, theirs, key), null);
    const again = await claimed(client, mine, key);
    assert.equal(again?.token, first.token, 'claiming twice is harmless');
    assert((await first.write([], [{ op: 'put', key: '/state', value: 'by one' }])).committed);

    const waiting = owned(other, theirs, key);
    const releasedAt = performance.now();
    await first.release();
    const second = await waiting;
    t.diagnostic(`handed over in ${Math.round(performance.now() - releasedAt)} ms`);
    assert(second.token > first.token);

    const late = first.write([], [{ op: 'put', key: '/state', value: 'late' }]);
    await assert.rejects(late, isFailure('fenced'));
    assert.equal((await client.get('/state'))?.value.toString(), 'by one');
    await first.release(); // changes nothing for the second
    assert((await second.write([], [{ op: 'put', key: '/state', value: 'by other' }])).committed);
    await Promise.all([mine.revoke(), theirs.revoke()]);
  });

  test('of many that wait, exactly one owns at any time', async () => {
    const key = '/own/many';
    let owners = 0;
    const tokens: number[] = [];
    const contend = async (i: number): Promise<void> => {
      const lease = await Lease.grant(i % 2 ? client : other, { ttlMs: 5000 });
      const owner = await owned(i % 2 ? client : other, lease, key);
      assert.equal(++owners, 1);
      tokens.push(owner.token);
      await owner.write([], [{ op: 'put', key: '/many', value: String(i) }]);
      owners--;
      if (i % 3 === 0) await owner.release();
      await lease.revoke();
    };
    await Promise.all(Array.from({ length: 6 }, (_, i) => contend(i)));
    assert.deepEqual(
      tokens,
      [...tokens].sort((a, b) => a - b),
    );
    assert.equal(tokens.length, 6);
  });
});
