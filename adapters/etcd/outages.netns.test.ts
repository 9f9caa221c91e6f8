/** What happens to etcd itself. Needs root for the disk of one member alone, in this file's own mounts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { until } from '../testing/until';
import { EtcdClient } from './client';
import { EtcdError } from './errors';
import { Lease } from './lease';
import { EtcdCluster, owned, withoutEtcd } from './testing';
import { listWatch } from './watch';

const skip = process.getuid?.() === 0 ? withoutEtcd : 'needs root';

/** etcd sets 64 MB aside for its log, and again for the next part of it. */
const DISK = 'size=160m';
const SMALL = 1;

/** Takes all that is left of a disk; returns what gives it back. */
function fillUp(directory: string): () => void {
  const path = join(directory, 'ballast');
  const file = openSync(path, 'w');
  for (const piece of [Buffer.alloc(2 ** 20), Buffer.alloc(4096)]) {
    try {
      for (;;) writeSync(file, piece);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
    }
  }
  closeSync(file);
  return () => rmSync(path);
}

/** What a watch tells: values by key, and whether it ever began anew. */
class Follower {
  readonly values = new Map<string, string>();
  snapshots = 0;
  private readonly stopping = new AbortController();
  private readonly following: Promise<void>;

  constructor(client: EtcdClient, prefix: string) {
    this.following = this.follow(client, prefix);
  }

  private async follow(client: EtcdClient, prefix: string): Promise<void> {
    for await (const item of listWatch(client, { prefix }, this.stopping.signal)) {
      if (item.kind === 'snapshot') {
        this.snapshots++;
        this.values.clear();
        for (const { key, value } of item.entries) this.values.set(key, value.toString());
      } else if (item.kind === 'put') {
        this.values.set(item.entry.key, item.entry.value.toString());
      } else if (item.kind === 'delete') {
        this.values.delete(item.key);
      }
    }
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.following;
  }
}

describe('etcd in trouble', { skip }, () => {
  let cluster: EtcdCluster;
  let client: EtcdClient;
  let disk = '';
  const accepted = new Map<string, string>();
  before(async () => {
    cluster = await EtcdCluster.start(3, {
      prepare: (member, directory) => {
        if (member !== SMALL) return;
        execFileSync('mount', ['-t', 'tmpfs', '-o', DISK, 'tmpfs', directory]);
        disk = directory;
      },
    });
    client = new EtcdClient({ endpoints: cluster.urls, writer: 'outages' });
  });
  after(async () => {
    client.close();
    await cluster.kill(SMALL);
    execFileSync('umount', [disk]);
    await cluster.stop();
  });

  const put = async (key: string, value: string): Promise<void> => {
    const outcome = await client.write([], [{ op: 'put', key, value }]);
    assert(outcome.committed);
    accepted.set(key, value);
  };

  /** As the member itself has it, whatever the others say: a listing of it is linearizable. */
  const heldBy = async (member: number): Promise<Map<string, string>> => {
    const alone = new EtcdClient({ endpoints: [cluster.urls[member] ?? ''], writer: 'alone' });
    try {
      const { entries } = await alone.list({ prefix: '/full/' });
      return new Map(entries.map(({ key, value }) => [key, value.toString()]));
    } finally {
      alone.close();
    }
  };

  test('a full disk at one member costs that member, no write and no watch', async () => {
    const follower = new Follower(client, '/full/');
    await put('/full/before', 'x');
    const giveBack = fillUp(disk);
    for (let i = 0; !cluster.ended(SMALL); i++) {
      assert(i < 2_000, 'it runs on with a full disk');
      await put(`/full/${i % 200}`, String(i).padEnd(20_000, '.'));
    }
    for (let i = 0; i < 20; i++) await put(`/full/after/${i}`, 'x');
    await until('the watch has all', () => follower.values.get('/full/after/19') === 'x');
    assert.deepEqual(follower.values, accepted);
    giveBack();
    cluster.restart(SMALL);
    await until(
      'it has caught up',
      () =>
        heldBy(SMALL).then(
          () => true,
          () => false,
        ),
      30_000,
    );
    assert.deepEqual(await heldBy(SMALL), accepted);
    await follower.stop();
  });

  test('two members gone for longer than a lease: told, and all goes on when they are back', async () => {
    const follower = new Follower(client, '/quorum/');
    const lease = await Lease.grant(client, { ttlMs: 2000 });
    const owner = await owned(client, lease, '/own/quorum');
    await put('/quorum/kept', 'before');
    await until('the watch has it', () => follower.values.size === 1);
    const gone = [0, 2];
    for (const member of gone) await cluster.kill(member);
    await until('the owner does not believe any more', () => !owner.holds());
    const written = client.write([], [{ op: 'put', key: '/quorum/lost', value: '' }], 500);
    await assert.rejects(
      written,
      (error) => error instanceof EtcdError && error.failure.code === 'unavailable',
    );
    assert.deepEqual([...follower.values], [['/quorum/kept', 'before']], 'the picture stays');
    for (const member of gone) cluster.restart(member);
    await until(
      'writes are taken',
      () =>
        put('/quorum/new', 'after').then(
          () => true,
          () => false,
        ),
      30_000,
    );
    await until('the watch goes on', () => follower.values.get('/quorum/new') === 'after');
    assert.equal(follower.snapshots, 1, 'from where it was');
    const again = await Lease.grant(client, { ttlMs: 5000 });
    const next = await owned(client, again, '/own/quorum');
    assert(next.token > owner.token);
    await again.revoke();
    await follower.stop();
  });

  test('a compaction while a watch is catching up: it lists again, and has everything', async () => {
    const stop = new AbortController();
    const values = new Map<string, string>();
    let compacted: Promise<void> | undefined;
    let wanted = '';
    // The consumer stands still at its first event, so etcd can't send on, and history goes away.
    for await (const item of listWatch(client, { prefix: '/compact/' }, stop.signal)) {
      if (item.kind === 'snapshot') {
        values.clear();
        for (const { key, value } of item.entries) values.set(key, value.toString());
        if (wanted === '') {
          await put('/compact/0', 'first');
          wanted = 'soon';
        }
      } else if (item.kind === 'put') {
        values.set(item.entry.key, item.entry.value.toString());
        compacted ??= (async () => {
          for (let i = 0; i < 1200; i++) {
            wanted = String(i).padEnd(2000, '.');
            const changes = Array.from({ length: 10 }, (_, n) => ({
              op: 'put' as const,
              key: `/compact/${n}`,
              value: wanted,
            }));
            await client.write([], changes);
          }
          const last = await client.write([], [{ op: 'delete', key: '/compact/5' }]);
          assert(last.committed);
          await cluster.compact(last.revision);
        })();
        await compacted;
      } else if (item.kind === 'delete') {
        values.delete(item.key);
      }
      if (values.get('/compact/9') === wanted && !values.has('/compact/5')) stop.abort();
    }
    const { entries } = await client.list({ prefix: '/compact/' });
    assert.deepEqual(values, new Map(entries.map(({ key, value }) => [key, value.toString()])));
    assert.equal(values.size, 9);
  });
});
