import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { EtcdClient } from '../../adapters/etcd/client';
import { EtcdCluster, withoutEtcd } from '../../adapters/etcd/testing';
import { keys } from '../../core/model/keys';
import { until } from '../../workflows/testing/until';
import { Doubts } from './doubts';
import { Shards } from './shards';
import { exampleController } from './testing/resources';

const log = pino({ level: 'silent' });

test(
  'told by an edge of a newer owner, a controller asks etcd, and believes etcd',
  { skip: withoutEtcd },
  async (t) => {
    const cluster = await EtcdCluster.start(1);
    const etcd = new EtcdClient({ endpoints: cluster.urls, writer: 'test' });
    const stopping = new AbortController();
    const controllers = ['c1', 'c2'].map((id) => new Shards(etcd, id, exampleController(), log));
    const ended = controllers.map((each) => each.run(stopping.signal, () => undefined));
    t.after(async () => {
      stopping.abort();
      await Promise.all(ended);
      etcd.close();
      await cluster.stop();
    });
    const [one, two] = controllers as [Shards, Shards];
    await until('both have a lease', () => controllers.every((each) => each.leaseId !== null));
    assert.equal(await one.claim([7, 8]), true);
    let dropped = 0;
    const doubts = new Doubts({ etcd, shards: one, onDropped: () => dropped++, log });

    const lie = { ...one.fence(8)!, ownerRevision: 1_000_000 };
    await doubts.heard(8, lie);
    assert.equal(one.holds(8), true, 'an edge that lies takes nothing away');

    await etcd.write([], [{ op: 'delete', key: keys.owner(7) }]);
    assert.equal(await two.claim([7]), true);
    await doubts.heard(7, { ...one.fence(7)!, ownerRevision: one.fence(7)!.ownerRevision - 1 });
    assert.equal(one.holds(7), true, 'a former fence is no news');
    await doubts.heard(7, two.fence(7)!);
    assert.equal(one.holds(7), false, 'dropped, without a write that would have been refused');
    assert.equal(one.fence(7), null);
    assert.equal(dropped, 1);

    await cluster.stop();
    await doubts.heard(8, lie);
    assert.equal(one.holds(8), true, 'asked about a moment ago');
    await until('our lease has run out', async () => {
      await doubts.heard(8, lie);
      return !one.holds(8);
    });
    assert.equal(dropped, 1, 'an edge alone, without etcd, takes nothing away');
    assert.ok(one.fence(8), 'the fence stands until another owner is known of');
  },
);
