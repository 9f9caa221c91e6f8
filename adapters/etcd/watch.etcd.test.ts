import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { EtcdClient } from './client';
import type { Change, KeyValue, WatchItem } from './port';
import { EtcdCluster, Proxy, until, withoutEtcd } from './testing';
import { listWatch } from './watch';

/** A consumer that keeps what the watch tells, and remembers every revision that it was told. */
class Picture {
  readonly entries = new Map<string, KeyValue>();
  readonly revisions = new Set<number>();
  snapshots = 0;
  syncedTo = 0;
  readonly gapsMs: number[] = [];
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(client: EtcdClient, prefix: string) {
    this.#done = this.#consume(listWatch(client, { prefix }, this.#stop.signal));
  }

  async #consume(items: AsyncIterable<WatchItem>): Promise<void> {
    for await (const item of items) this.#take(item);
  }

  #take(item: WatchItem): void {
    if (item.kind === 'snapshot') {
      this.snapshots++;
      this.entries.clear();
      for (const entry of item.entries) this.entries.set(entry.key, entry);
    } else if (item.kind === 'put') {
      this.entries.set(item.entry.key, item.entry);
      this.revisions.add(item.entry.modRevision);
    } else if (item.kind === 'delete') {
      this.entries.delete(item.key);
      this.revisions.add(item.modRevision);
    } else {
      this.syncedTo = item.revision;
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }
}

/** `count` puts of 1 kB over 100 keys below `prefix`, 10 to a transaction; returns all revisions. */
async function fill(client: EtcdClient, prefix: string, count: number): Promise<number[]> {
  const revisions: number[] = [];
  let at = 0;
  const writer = async (): Promise<void> => {
    while (at < count) {
      const changes = Array.from({ length: 10 }, (): Change => {
        return { op: 'put', key: `${prefix}${at % 100}`, value: `${at++}`.padEnd(1000) };
      });
      const outcome = await client.write([], changes);
      assert(outcome.committed);
      revisions.push(outcome.revision);
    }
  };
  await Promise.all(Array.from({ length: 8 }, writer));
  return revisions;
}

const cutsOf = (proxies: Proxy[]): number => proxies.reduce((sum, p) => sum + p.cuts, 0);

describe('listWatch', { skip: withoutEtcd }, () => {
  let cluster: EtcdCluster;
  let direct: EtcdClient;
  before(async () => {
    cluster = await EtcdCluster.start(3);
    direct = new EtcdClient({ endpoints: cluster.urls, writer: 'test' });
  });
  after(async () => {
    direct.close();
    await cluster.stop();
  });

  test('lists, then follows', async () => {
    await fill(direct, '/follow/', 100);
    const picture = new Picture(direct, '/follow/');
    await until('the snapshot', () => picture.entries.size === 100);
    await direct.write([], [{ op: 'delete', key: '/follow/7' }]);
    const put = await direct.write([], [{ op: 'put', key: '/follow/new', value: 'x' }]);
    await until('both', () => picture.entries.has('/follow/new') && picture.entries.size === 100);
    assert(put.committed);
    await until('synced', () => picture.syncedTo >= put.revision);
    assert(!picture.entries.has('/follow/7'));
    assert.equal(picture.snapshots, 1);
    await picture.stop();
  });

  test('loses nothing when cut while catching up', async () => {
    const proxies = await Promise.all(cluster.urls.map((url) => Proxy.to(url)));
    const client = new EtcdClient({ endpoints: proxies.map((p) => p.url), writer: 'test' });
    const picture = new Picture(client, '/cut/');
    await until('synced', () => picture.syncedTo > 0);
    // The watch hangs in a black hole while 10,000 events happen, then gets them in small bites.
    for (const proxy of proxies) proxy.swallow(true);
    const revisions = await fill(direct, '/cut/', 10_000);
    for (const proxy of proxies) proxy.swallow(false);
    const cutsBefore = cutsOf(proxies);
    for (const proxy of proxies) proxy.cutEvery(2_500_000);
    const last = Math.max(...revisions);
    await until('synced', () => picture.syncedTo >= last, 20_000);
    const cuts = cutsOf(proxies) - cutsBefore;
    console.log({ cuts, revs: picture.revisions.size, snapshots: picture.snapshots, last });
    assert(cuts >= 4, `only ${cuts} cuts`);
    assert.equal(picture.snapshots, 1, 'it went on, it did not list again');
    assert.deepEqual([...picture.revisions].sort(), revisions.sort());
    await picture.stop();
    client.close();
    await Promise.all(proxies.map((p) => p.close()));
  });
});
