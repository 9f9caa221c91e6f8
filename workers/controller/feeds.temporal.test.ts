import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { EtcdClient } from '../../adapters/etcd/client';
import { keys } from '../../core/model/keys';
import { plainFilter } from '../../core/model/node';
import { validateBlocklist } from '../../core/model/schema-blocklist';
import { until } from '../../workflows/testing/until';
import { Cluster, withoutServers } from './testing/cluster';
import { nodeResource } from './testing/resources';

const skip = withoutServers;

function blocklist(feed: object, entries: unknown[] = []) {
  const result = validateBlocklist({
    apiVersion: 'aether.dev/v1',
    kind: 'Blocklist',
    metadata: { name: 'bad' },
    spec: { nodes: { tier: 'edge' }, entries, feed },
  });
  assert.ok(result.ok, JSON.stringify(result));
  return result.resource;
}

const lines = (count: number): string =>
  Array.from({ length: count }, (_, i) => `198.51.${i >> 7}.${2 * (i & 127)}\n`).join('');

/** A server on loopback whose one list can be set. */
async function feedServer(t: TestContext) {
  const served = { status: 200, body: '', asked: 0, unchanged: 0 };
  const server = createServer((request, response) => {
    served.asked += 1;
    const etag = `"${Buffer.from(served.body).toString('base64url').slice(-20)}-${served.body.length}"`;
    if (served.status === 200 && request.headers['if-none-match'] === etag) {
      served.unchanged += 1;
      response.writeHead(304).end();
    } else response.writeHead(served.status, { etag }).end(served.body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { served, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/bad.txt` };
}

async function scheduleIds(cluster: Cluster): Promise<string[]> {
  const connection = await Connection.connect({ address: cluster.temporal?.address ?? '' });
  try {
    const ids: string[] = [];
    for await (const { scheduleId } of new Client({ connection }).schedule.list()) {
      ids.push(scheduleId);
    }
    return ids;
  } finally {
    await connection.close();
  }
}

test(
  'a feed is loaded when it is declared, and the last good list outlives whatever becomes of it',
  { skip, timeout: 120_000 },
  async (t) => {
    const cluster = await Cluster.start(t);
    await cluster.startController();
    await cluster.ready();
    const { admin } = cluster;
    const node = nodeResource('fra-1', 1);
    node.metadata.labels = { tier: 'edge' };
    node.spec.filters = [{ ...plainFilter('uplink0'), failsafe: ['203.0.113.7/32'] }];
    await admin.apply([node], null);
    const { served, url } = await feedServer(t);
    const view = async () => {
      const [found] = await admin.getBlocklists('bad');
      assert.ok(found?.feed);
      return { ...found, feed: found.feed };
    };
    const refresh = async () => {
      const { result } = await admin.refreshBlocklist('bad');
      assert.ok(result, 'it is done within the call');
      return result;
    };

    await t.test('it is loaded at once, beside the entries of the list itself', async () => {
      served.body = `# bad ones\n${lines(100)}`;
      await admin.apply([blocklist({ url }, ['192.0.2.0/24'])], null);
      assert.equal((await view()).count, 1, 'its own entries do not wait for the feed');
      const loaded = await until('it is loaded', async () => {
        const found = await view();
        return found.feed.lastGoodAtMs === null ? null : found;
      });
      assert.deepEqual([loaded.feed.count, loaded.count], [100, 101]);
      assert.ok((await scheduleIds(cluster)).includes('blocklist/bad'));
    });

    await t.test('unchanged, it costs a question', async () => {
      const { revision } = await view();
      const result = await refresh();
      assert.deepEqual([result.outcome, result.count, served.unchanged], ['unchanged', 100, 1]);
      assert.equal((await view()).revision, revision, 'no spec has moved');
    });

    const standsAfter = async (problem: RegExp): Promise<void> => {
      const { sha256, revision } = await view();
      const result = await refresh();
      assert.equal(result.outcome, 'kept');
      assert.match(result.problem ?? '', problem);
      const now = await view();
      assert.deepEqual([now.sha256, now.revision, now.count], [sha256, revision, 101]);
      assert.match(now.feed.problem ?? '', problem);
      assert.ok((now.feed.lastTryAtMs ?? 0) >= (now.feed.lastGoodAtMs ?? 0));
    };

    await t.test('a server that fails', async () => {
      served.status = 404;
      await standsAfter(/404 Not Found/);
      served.status = 200;
    });

    await t.test('a list that shrinks', async () => {
      served.body = lines(20);
      await standsAfter(/80 of 100 prefixes would go/);
    });

    await t.test('a list with what is failsafe on a node of its', async () => {
      served.body = `${lines(100)}203.0.113.0/24\n`;
      await standsAfter(/203\.0\.113\.0\/24 meets 203\.0\.113\.7\/32/);
    });

    await t.test('an error page, a list of everything, half a line', async () => {
      served.body = '<html><body>Sorry!</body></html>\n'.repeat(3);
      await standsAfter(/lines hold no prefix/);
      served.body = `${lines(100)}0.0.0.0/0\n`;
      await standsAfter(/0\.0\.0\.0\/0/);
      served.body = `${lines(100)}198.51.10`;
      await standsAfter(/ends in the middle/);
      const metrics = await (await fetch(`http://127.0.0.1:${cluster.metricsPort}/metrics`)).text();
      assert.match(metrics, /^aether_controller_feed_refreshes_total\{outcome="kept"\} 6$/m);
    });

    await t.test('and it recovers', async () => {
      served.body = lines(120);
      const result = await refresh();
      assert.deepEqual([result.outcome, result.added, result.removed], ['updated', 20, 0]);
      const now = await view();
      assert.deepEqual([now.count, now.feed.problem], [121, null]);
    });

    await t.test('overdue is what nobody has tried for three refreshes', async () => {
      assert.equal((await view()).feed.overdue, false);
      const etcd = new EtcdClient({ endpoints: cluster.etcd.urls, writer: 'test' });
      t.after(() => etcd.close());
      const key = keys.feed('bad');
      const state = JSON.parse((await etcd.get(key))?.value.toString() ?? '') as object;
      const value = JSON.stringify({ ...state, lastTryAtMs: Date.now() - 4 * 3_600_000 });
      await etcd.write([], [{ op: 'put', key, value }]);
      await until('it is told', async () => (await view()).feed.overdue);
      await until('it is counted', async () => {
        const metrics = await fetch(`http://127.0.0.1:${cluster.metricsPort}/metrics`);
        return /^aether_controller_feeds_overdue 1$/m.test(await metrics.text());
      });
      await refresh();
      await until('it was tried', async () => !(await view()).feed.overdue);
    });

    await t.test('entries are changed without asking the feed', async () => {
      const { asked } = served;
      await admin.apply([blocklist({ url }, ['192.0.2.0/25', '2001:db8::/32'])], null);
      const now = await until('122 prefixes', async () => {
        const found = await view();
        return found.count === 122 ? found : null;
      });
      assert.deepEqual([now.feed.count, served.asked], [120, asked]);
    });

    await t.test(
      'another place begins anew, and until it is believed the old list stands',
      async () => {
        const path = join(cluster.directory, 'bad.csv');
        writeFileSync(path, 'when;who\n');
        const feed = { url: String(pathToFileURL(path)), format: 'csv', column: 2 };
        await admin.apply([blocklist(feed)], null);
        const now = await until('it was tried', async () => {
          const found = await view();
          return found.feed.problem === null ? null : found;
        });
        assert.deepEqual([now.count, now.feed.problem], [120, 'it holds no prefix']);
        const list = 'when;who\n192.0.2.9;203.0.113.77\n192.0.2.11;203.0.113.65/26\n';
        writeFileSync(path, list);
        const result = await refresh();
        assert.deepEqual([result.outcome, result.count], ['updated', 1]);
        assert.deepEqual(result.notes, [
          'prefixes with bits set behind their length, cleared: 1',
          'prefixes within a shorter one: 1',
        ]);
        assert.equal((await view()).count, 1);

        await admin.apply([blocklist({ ...feed, column: 1, maxShrinkPercent: 100 })], null);
        const other = await refresh();
        const facts = [other.outcome, other.count, other.added, other.removed];
        assert.deepEqual(facts, ['updated', 2, 2, 1], 'the same bytes, read otherwise');
      },
    );

    await t.test('deleted, it leaves no Schedule', async () => {
      await admin.delete('bad', false, 'Blocklist');
      await until('the Schedule is gone', async () => {
        return !(await scheduleIds(cluster)).includes('blocklist/bad');
      });
      await assert.rejects(admin.refreshBlocklist('bad'), /NOT_FOUND/);
    });

    await t.test(
      'and one of a list that went while no controller was there goes later',
      async () => {
        await admin.apply([blocklist({ url })], null);
        await until('it has a Schedule', async () => {
          return (await scheduleIds(cluster)).includes('blocklist/bad');
        });
        await cluster.stopController();
        const etcd = new EtcdClient({ endpoints: cluster.etcd.urls, writer: 'test' });
        t.after(() => etcd.close());
        await etcd.write([], [{ op: 'delete', key: keys.blocklist('bad') }]);
        await cluster.startController();
        await until('the Schedule is gone', async () => {
          return !(await scheduleIds(cluster)).includes('blocklist/bad');
        });
      },
    );
  },
);
