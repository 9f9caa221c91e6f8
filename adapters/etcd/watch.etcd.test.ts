import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { EtcdClient } from './client';
import type { Change, KeyValue, WatchItem } from './port';
import { until } from '../testing/until';
import { EtcdCluster, Proxy, withoutEtcd } from './testing';
import { listWatch } from './watch';

/** A consumer that keeps what the watch tells, and remembers every revision that it was told. */
class Picture {
  readonly entries = new Map<string, KeyValue>();
  readonly revisions = new Set<number>();
  snapshots = 0;
  syncedTo = 0;
  longestGapMs = 0;
  #lastAtMs = performance.now();
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(client: EtcdClient, prefix: string) {
    this.#done = this.#consume(listWatch(client, { prefix }, this.#stop.signal));
  }

  async #consume(items: AsyncIterable<WatchItem>): Promise<void> {
    for await (const item of items) this.#take(item);
  }

  #take(item: WatchItem): void {
    const now = performance.now();
    this.longestGapMs = Math.max(this.longestGapMs, now - this.#lastAtMs);
    this.#lastAtMs = now;
    switch (item.kind) {
      case 'snapshot':
        this.snapshots++;
        this.entries.clear();
        for (const entry of item.entries) this.entries.set(entry.key, entry);
        break;
      case 'put':
        this.entries.set(item.entry.key, item.entry);
        this.revisions.add(item.entry.modRevision);
        break;
      case 'delete':
        this.entries.delete(item.key);
        this.revisions.add(item.modRevision);
        break;
      case 'synced':
        this.syncedTo = item.revision;
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }
}

const put = (key: string, value = ''): Change => ({ op: 'put', key, value });

async function commit(client: EtcdClient, ...changes: Change[]): Promise<number> {
  const outcome = await client.write([], changes);
  assert(outcome.committed);
  return outcome.revision;
}

/** `count` puts of 1.2 kB over 100 keys below `prefix`, 10 to a transaction; returns all revisions. */
async function fill(client: EtcdClient, prefix: string, count: number): Promise<number[]> {
  const revisions: number[] = [];
  let at = 0;
  const writer = async (): Promise<void> => {
    while (at < count) {
      const changes = Array.from({ length: 10 }, () =>
        put(`${prefix}${at % 100}`, `${at++}`.padEnd(1200)),
      );
      revisions.push(await commit(client, ...changes));
    }
  };
  await Promise.all(Array.from({ length: 8 }, writer));
  return revisions;
}

const cutsOf = (proxies: Proxy[]): number => proxies.reduce((sum, p) => sum + p.cuts, 0);

describe('listWatch', { skip: withoutEtcd }, () => {
  let cluster: EtcdCluster;
  let direct: EtcdClient;
  let proxies: Proxy[];
  let proxied: EtcdClient;
  before(async () => {
    cluster = await EtcdCluster.start(3);
    proxies = await Proxy.toAll(cluster.urls);
    direct = new EtcdClient({ endpoints: cluster.urls, writer: 'direct' });
    proxied = new EtcdClient({ endpoints: proxies.map((p) => p.url), writer: 'proxied' });
  });
  after(async () => {
    direct.close();
    proxied.close();
    await Promise.all(proxies.map((p) => p.close()));
    await cluster.stop();
  });

  test('lists, then follows', async () => {
    await fill(direct, '/follow/', 700); // 100 keys
    await commit(direct, ...Array.from({ length: 100 }, (_, i) => put(`/follow/more/${i}`)));
    const picture = new Picture(direct, '/follow/');
    await until('the snapshot', () => picture.entries.size === 200);
    await commit(direct, { op: 'delete', key: '/follow/7' });
    const last = await commit(direct, put('/follow/new'), put('/followed', 'not below the prefix'));
    await until('synced', () => picture.syncedTo >= last);
    assert.equal(picture.snapshots, 1);
    assert.equal(picture.entries.size, 200);
    assert(picture.entries.has('/follow/new') && !picture.entries.has('/follow/7'));
    await picture.stop();
  });

  test('ends when it is told to over a snapshot', async () => {
    const stop = new AbortController();
    for await (const item of listWatch(direct, { prefix: '/none/' }, stop.signal)) {
      assert.equal(item.kind, 'snapshot', 'nothing comes after it');
      stop.abort();
    }
  });

  test('a listing of several pages is of one revision', async () => {
    const keys = Array.from({ length: 1200 }, (_, i) => `/pages/${String(i).padStart(4, '0')}`);
    for (let i = 0; i < keys.length; i += 100) {
      await commit(direct, ...keys.slice(i, i + 100).map((key) => put(key)));
    }
    const { entries } = await direct.list({ prefix: '/pages/' });
    assert.deepEqual(
      entries.map((kv) => kv.key),
      keys,
    );
  });

  test('loses nothing when cut while catching up', async (t) => {
    const picture = new Picture(proxied, '/cut/');
    await until('synced', () => picture.syncedTo > 0);
    // 10,000 events happen while the watch is in a black hole; then it gets them in bites, each a
    // little larger than etcd's messages: in less, no watch can make headway.
    for (const proxy of proxies) proxy.swallow(true);
    const revisions = await fill(direct, '/cut/', 10_000);
    for (const proxy of proxies) proxy.swallow(false);
    const cutsBefore = cutsOf(proxies);
    for (const proxy of proxies) proxy.cutEvery(2_500_000);
    const last = Math.max(...revisions);
    await until('synced', () => picture.syncedTo >= last, 20_000);
    for (const proxy of proxies) proxy.cutEvery(Infinity);
    const cuts = cutsOf(proxies) - cutsBefore;
    t.diagnostic(`${revisions.length} revisions of 10 events, ${cuts} cuts`);
    assert(cuts >= 4, `only ${cuts} cuts`);
    assert.equal(picture.snapshots, 1, 'it went on, it did not list again');
    assert.deepEqual(picture.revisions, new Set(revisions));
    await picture.stop();
  });

  test('lists again when what it missed was compacted', async () => {
    await commit(direct, put('/compact/kept'), put('/compact/gone'));
    const picture = new Picture(proxied, '/compact/');
    await until('synced', () => picture.syncedTo > 0);
    for (const proxy of proxies) proxy.swallow(true);
    await commit(direct, { op: 'delete', key: '/compact/gone' });
    const last = await commit(direct, put('/compact/new'));
    await cluster.compact(last);
    for (const proxy of proxies) proxy.swallow(false);
    await until('a second snapshot', () => picture.snapshots === 2);
    assert.deepEqual([...picture.entries.keys()].sort(), ['/compact/kept', '/compact/new']);
    const later = await commit(direct, put('/compact/later'));
    await until('events go on', () => picture.revisions.has(later));
    await picture.stop();
  });

  test('a member that turns into a black hole is left for another', async (t) => {
    const picture = new Picture(proxied, '/hole/');
    await until('synced', () => picture.syncedTo > 0);
    const watched = proxied.preferred; // where the watch began, and where a new one begins
    proxies[watched]!.swallow(true);
    const startedAt = performance.now();
    const revision = await commit(direct, put('/hole/unseen'));
    const begunInHole = new Picture(proxied, '/hole/');
    await until('the event', () => picture.revisions.has(revision), 12_000);
    await until('the other watch', () => begunInHole.syncedTo >= revision, 12_000);
    t.diagnostic(`both watches went on after ${Math.round(performance.now() - startedAt)} ms`);
    proxies[watched]!.swallow(false);
    await picture.stop();
    await begunInHole.stop();
  });

  test('a slow consumer gets everything, in order, and is not taken for a dead member', async () => {
    const stop = new AbortController();
    const seen: number[] = [];
    let snapshots = 0;
    const revisions = fill(direct, '/slow/', 3000).then((all) => all.sort((a, b) => a - b));
    for await (const item of listWatch(direct, { prefix: '/slow/' }, stop.signal)) {
      if (item.kind === 'snapshot') snapshots++;
      if (item.kind === 'put') seen.push(item.entry.modRevision);
      if (seen.length === 1) await new Promise((wake) => setTimeout(wake, 3500));
      if (item.kind === 'synced' && item.revision >= (await revisions).at(-1)!) stop.abort();
    }
    assert.equal(snapshots, 1);
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
    );
    assert(seen.length > 2000, 'most of them came as events');
  });

  test('no acknowledged write is missing after the leader was killed', async (t) => {
    const picture = new Picture(direct, '/kill/');
    await until('synced', () => picture.syncedTo > 0);
    const acknowledged: { atMs: number; revision: number }[] = [];
    let writing = true;
    const writer = async (id: number): Promise<void> => {
      for (let i = 0; writing; i++) {
        const revision = await commit(direct, put(`/kill/${id}`, String(i)));
        acknowledged.push({ atMs: performance.now(), revision });
      }
    };
    const writers = Promise.all([writer(0), writer(1), writer(2)]);
    await until('writes flow', () => acknowledged.length > 30);
    const leader = await until('a leader', () => cluster.leader());
    picture.longestGapMs = 0;
    cluster.signal(leader);
    const killedAtMs = performance.now();
    // An answer that was already on its way does not count.
    const first = await until('a write after it', () =>
      acknowledged.find((a) => a.atMs > killedAtMs + 100),
    );
    const enough = acknowledged.length + 100;
    await until('writes flow again', () => acknowledged.length > enough);
    writing = false;
    await writers;
    const last = Math.max(...acknowledged.map((a) => a.revision));
    await until('synced', () => picture.syncedTo >= last);
    t.diagnostic(`first write ${Math.round(first.atMs - killedAtMs)} ms after the kill`);
    t.diagnostic(`longest gap of the watch ${Math.round(picture.longestGapMs)} ms`);
    const missing = acknowledged.filter((a) => !picture.revisions.has(a.revision));
    assert.deepEqual(missing, []);
    cluster.restart(leader);
    await picture.stop();
  });
});
