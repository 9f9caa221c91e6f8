import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { ITxnResponse } from 'etcd3';
import { EtcdClient } from './client';
import { Endpoint } from './endpoint';
import { EtcdError, type EtcdFailure } from './errors';
import { MarkerSet, onceOutcome, onceRequest } from './once';
import { absent, unchanged } from './port';
import { until } from '../testing/until';
import { EtcdCluster, Proxy, withoutEtcd } from './testing';

/** The failure that `promise` is rejected with. */
const failureOf = async (promise: Promise<unknown>): Promise<EtcdFailure> => {
  const error: unknown = await promise.then(
    () => assert.fail('it succeeded'),
    (reason: unknown) => reason,
  );
  assert(error instanceof EtcdError, String(error));
  return error.failure;
};

describe('EtcdClient', { skip: withoutEtcd }, () => {
  let cluster: EtcdCluster;
  let client: EtcdClient;
  before(async () => {
    cluster = await EtcdCluster.start(3);
    client = new EtcdClient({ endpoints: cluster.urls, writer: 'test' });
  });
  after(async () => {
    client.close();
    await cluster.stop();
  });

  test('writes if the conditions hold, else says what was found', async () => {
    const key = '/cas/key';
    const made = await client.write([absent(key)], [{ op: 'put', key, value: 'one' }]);
    assert(made.committed);
    const stale = await client.write([absent(key)], [{ op: 'put', key, value: 'two' }]);
    assert(!stale.committed);
    const [found] = stale.found;
    assert.deepEqual(found, await client.get(key));
    assert.deepEqual(
      { ...found, value: found?.value.toString() },
      {
        key,
        value: 'one',
        createRevision: made.revision,
        modRevision: made.revision,
        version: 1,
        leaseId: null,
      },
    );
    const next = await client.write([unchanged(key, made.revision)], [{ op: 'delete', key }]);
    assert(next.committed && next.revision > made.revision);
    assert.equal(await client.get(key), null);
  });

  describe('copies of one write', () => {
    let endpoints: Endpoint[];
    let markers: MarkerSet;
    before(async () => {
      endpoints = cluster.urls.map((url) => new Endpoint(url, undefined));
      markers = new MarkerSet('copies');
      await client.grantLease(markers.leaseId, MarkerSet.ttlMs);
    });
    after(() => endpoints.forEach((endpoint) => endpoint.close()));

    const verdictsAgree = (
      marker: { key: string; modRevision: number },
      answers: ITxnResponse[],
    ): boolean => {
      const outcomes = answers.map((answer) => onceOutcome(marker, answer)!.outcome);
      const verdicts = outcomes.map((o) => (o.committed ? o.revision : 0));
      assert.equal(new Set(verdicts).size, 1, `the copies disagree: ${verdicts.join(' ')}`);
      return outcomes[0]!.committed;
    };

    test('the first decides: a late one changes nothing, even when its condition holds again', async () => {
      const key = '/copies/aba';
      await client.write([], [{ op: 'put', key, value: 'somebody' }]);
      const marker = markers.take();
      const request = onceRequest(
        marker,
        markers.leaseId,
        [absent(key)],
        [{ op: 'put', key, value: 'us' }],
      );
      const first = await endpoints[0]!.kv.txn(request);
      await client.write([], [{ op: 'delete', key }]);
      const late = await endpoints[1]!.kv.txn(request);
      assert.equal(verdictsAgree(marker, [first, late]), false);
      assert.equal(await client.get(key), null);
    });

    test('all tell the same, and what they change happens once, in any order', async () => {
      const steps = fc.array(
        fc.oneof(
          fc.record({ kind: fc.constant('copy' as const), write: fc.nat(4), via: fc.nat(2) }),
          fc.record({ kind: fc.constant('foreign' as const), remove: fc.boolean() }),
        ),
        { minLength: 5, maxLength: 25 },
      );
      await fc.assert(
        fc.asyncProperty(steps, fc.uuid(), async (plan, id) => {
          const contested = `/copies/${id}/contested`;
          const writes = Array.from({ length: 5 }, (_, i) => {
            const marker = { key: `/copies/${id}/marker/${i}`, modRevision: 0 };
            const request = onceRequest(
              marker,
              markers.leaseId,
              [absent(contested)],
              [
                { op: 'put', key: contested, value: String(i) },
                { op: 'put', key: `/copies/${id}/effect/${i}`, value: '' },
              ],
            );
            return { marker, request, answers: [] as ITxnResponse[] };
          });
          for (const step of plan) {
            if (step.kind === 'copy') {
              const write = writes[step.write]!;
              write.answers.push(await endpoints[step.via]!.kv.txn(write.request));
            } else {
              const change = step.remove
                ? { op: 'delete' as const }
                : { op: 'put' as const, value: '' };
              await client.write([], [{ key: contested, ...change }]);
            }
          }
          for (const [i, { marker, answers }] of writes.entries()) {
            const effect = await client.get(`/copies/${id}/effect/${i}`);
            const committed = answers.length > 0 && verdictsAgree(marker, answers);
            assert.equal(effect?.version ?? 0, committed ? 1 : 0);
          }
        }),
        { numRuns: 30 },
      );
    });

    test('one that comes after the markers are gone is refused', async () => {
      const gone = new MarkerSet('gone');
      await client.grantLease(gone.leaseId, MarkerSet.ttlMs);
      const marker = gone.take();
      const request = onceRequest(
        marker,
        gone.leaseId,
        [],
        [{ op: 'put', key: '/copies/late', value: 'late' }],
      );
      const first = await endpoints[0]!.kv.txn(request);
      assert(onceOutcome(marker, first)?.outcome.committed);
      await client.write([], [{ op: 'put', key: '/copies/late', value: 'newer' }]);
      await client.revokeLease(gone.leaseId);
      await assert.rejects(endpoints[1]!.kv.txn(request), /lease not found/);
      assert.equal((await client.get('/copies/late'))?.value.toString(), 'newer');
    });
  });

  test('counts right when every write goes out in three copies', async () => {
    const proxies = await Proxy.toAll(cluster.urls);
    for (const proxy of proxies) proxy.delayMs = 60; // no answer within the 40 ms of the hedge
    const slow = new EtcdClient({ endpoints: proxies.map((p) => p.url), writer: 'slow' });
    const key = '/count';
    let done = 0;
    const increment = async (): Promise<void> => {
      for (;;) {
        const now = await slow.get(key);
        const value = String(Number(now?.value ?? 0) + 1);
        const outcome = await slow.write(
          [unchanged(key, now?.modRevision ?? 0)],
          [{ op: 'put', key, value }],
        );
        if (!outcome.committed) continue;
        done++;
        return;
      }
    };
    await Promise.all(Array.from({ length: 8 }, increment));
    const counter = await client.get(key);
    assert.deepEqual([Number(counter?.value), counter?.version], [done, done]);
    slow.close();
    await Promise.all(proxies.map((p) => p.close()));
  });

  test('a member that is a black hole costs milliseconds, not a timeout', async (t) => {
    const proxies = await Proxy.toAll(cluster.urls);
    const holed = new EtcdClient({ endpoints: proxies.map((p) => p.url), writer: 'holed' });
    await holed.write([], [{ op: 'put', key: '/hole', value: 'before' }]);
    const hole = holed.preferred;
    proxies[hole]!.swallow(true);
    const tookMs: number[] = [];
    for (let i = 0; i < 20; i++) {
      const startedAt = performance.now();
      const outcome = await holed.write([], [{ op: 'put', key: '/hole', value: String(i) }]);
      assert(outcome.committed);
      tookMs.push(Math.round(performance.now() - startedAt));
    }
    t.diagnostic(`20 writes: ${tookMs.join(' ')} ms`);
    assert.notEqual(holed.preferred, hole, 'the member that answers is asked first from then on');
    assert.equal((await holed.get('/hole'))?.version, 21);
    holed.close();
    await Promise.all(proxies.map((p) => p.close()));
  });

  test('errors say whether anything was changed', async () => {
    const tooLarge = client.write([], [{ op: 'put', key: '/big', value: Buffer.alloc(2 ** 21) }]);
    assert.equal((await failureOf(tooLarge)).code, 'refused');
    assert.equal(await client.get('/big'), null);

    const noLease = client.write([], [{ op: 'put', key: '/leased', value: '', leaseId: '42' }]);
    const failure = await failureOf(noLease);
    assert.equal(failure.code, 'leaseNotFound');
    assert.equal(await client.get('/leased'), null);

    await client.write([], [{ op: 'put', key: '/after', value: '' }]); // it recovers by itself
  });

  test('who gets no marker has written nothing, and waits no less for that another one waits less', async () => {
    const proxies = await Proxy.toAll(cluster.urls);
    const cut = new EtcdClient({ endpoints: proxies.map((p) => p.url), writer: 'cut' });
    for (const proxy of proxies) proxy.swallow(true);
    const put = { op: 'put', key: '/unmarked', value: 'short' } as const;
    const short = failureOf(cut.write([], [put], 300));
    const long = cut.write([], [{ ...put, value: 'long' }]);
    const failure = await short;
    assert.deepEqual([failure.code, failure.changed], ['unavailable', false]);
    for (const proxy of proxies) proxy.swallow(false);
    assert.ok((await long).committed);
    const found = await client.get('/unmarked');
    assert.deepEqual([found?.value.toString(), found?.version], ['long', 1]);
    cut.close();
    await Promise.all(proxies.map((p) => p.close()));
  });

  test('without a majority: unknown at first, then certainly nothing, then all is well again', async () => {
    const leader = await until('a leader', () => cluster.leader());
    const killed = [leader, (leader + 1) % 3];
    const outcomes: boolean[] = [];
    for (const member of killed) cluster.signal(member);
    let attempt = 0;
    const certain = await until('a refusal before it is proposed', async () => {
      const write = client.write([], [{ op: 'put', key: `/try/${attempt++}`, value: '' }], 600);
      const failure = await failureOf(write);
      assert.equal(failure.code, 'unavailable');
      outcomes.push(failure.changed === false);
      return failure.changed === false ? failure : null;
    });
    assert.match(new EtcdError(certain).message, /nothing was changed/);
    for (const member of killed) cluster.restart(member);
    await until('a leader again', () => cluster.leader(), 20_000);
    assert.equal(await client.get(`/try/${attempt - 1}`), null);
    const after = await client.write([], [{ op: 'put', key: '/again', value: '' }]);
    assert(after.committed);
  });
});
