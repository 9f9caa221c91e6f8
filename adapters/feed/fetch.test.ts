import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { type Fetched, fetchFeed, type FeedRequest } from './fetch';

async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/list`;
}

const get = (url: string, over: Partial<FeedRequest> = {}): Promise<Fetched> =>
  fetchFeed({
    url,
    etag: null,
    maxBytes: 1_000,
    timeoutMs: 10_000,
    signal: new AbortController().signal,
    ...over,
  });

const text = (fetched: Fetched): string => {
  assert.equal(fetched.kind, 'bytes', JSON.stringify(fetched));
  return fetched.kind === 'bytes' ? Buffer.from(fetched.bytes).toString() : '';
};
const why = (fetched: Fetched): [string, boolean] => {
  assert.equal(fetched.kind, 'failed');
  return fetched.kind === 'failed' ? [fetched.message, fetched.mayPass] : ['', false];
};

describe('a feed over HTTP', () => {
  test('is fetched once, and then only if it has changed', async (t) => {
    const url = await serve(t, (request, response) => {
      if (request.headers['if-none-match'] === '"1"') response.writeHead(304).end();
      else response.writeHead(200, { etag: '"1"' }).end('192.0.2.1\n');
    });
    const first = await get(url);
    assert.equal(text(first), '192.0.2.1\n');
    assert.equal(first.kind === 'bytes' && first.etag, '"1"');
    assert.deepEqual(await get(url, { etag: '"1"' }), { kind: 'unchanged' });
  });

  test('is followed to where it has moved, and unpacked', async (t) => {
    const url = await serve(t, ({ url: path }, response) => {
      if (path === '/list') response.writeHead(302, { location: '/there' }).end();
      else response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('192.0.2.1\n'));
    });
    assert.equal(text(await get(url)), '192.0.2.1\n');
  });

  test('that is too long is not read to its end, also where it unpacks to more', async (t) => {
    let sent = 0;
    const endless = await serve(t, (_, response) => {
      const more = (): void => {
        while (response.write(Buffer.alloc(16_384))) sent += 16_384;
      };
      response.on('drain', more);
      more();
    });
    assert.deepEqual(why(await get(endless)), ['it has more than 1000 bytes', false]);
    assert.ok(sent < 64 << 20);
    const bomb = await serve(t, (_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(100_000)));
    });
    assert.deepEqual(why(await get(bomb)), ['it has more than 1000 bytes', false]);
  });

  test('that fails says how, and whether trying again may help', async (t) => {
    const answers = (status: number) => serve(t, (_, response) => response.writeHead(status).end());
    assert.deepEqual(why(await get(await answers(503))), [
      'the server answers 503 Service Unavailable',
      true,
    ]);
    assert.deepEqual(why(await get(await answers(404))), [
      'the server answers 404 Not Found',
      false,
    ]);
    const silent = await serve(t, () => undefined);
    assert.deepEqual(why(await get(silent, { timeoutMs: 100 })), [
      'it did not come within 100 ms',
      true,
    ]);
    const slow = await serve(t, (_, response) => response.write('192.0.2.1\n'));
    assert.deepEqual(why(await get(slow, { timeoutMs: 100 })), [
      'it did not come within 100 ms',
      true,
    ]);
    const cut = await serve(t, (_, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('192.0.2.1\n');
      setImmediate(() => response.destroy());
    });
    assert.equal(why(await get(cut))[1], true);
    const [message] = why(await get('http://127.0.0.1:1/'));
    assert.match(message, /bad port|ECONNREFUSED/);
  });

  test('is given up when nobody wants it any more', async (t) => {
    const url = await serve(t, () => undefined);
    const stop = new AbortController();
    const asked = get(url, { signal: stop.signal });
    stop.abort(new Error('cancelled'));
    await assert.rejects(asked);
  });
});

describe('a feed in a file', () => {
  test('is read, and again only when it was written to', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'aether-feed-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const path = join(directory, 'a list.txt');
    writeFileSync(path, '192.0.2.1\n');
    const url = String(pathToFileURL(path));
    const first = await get(url);
    assert.equal(text(first), '192.0.2.1\n');
    const etag = first.kind === 'bytes' ? first.etag : null;
    assert.deepEqual(await get(url, { etag }), { kind: 'unchanged' });
    writeFileSync(path, '192.0.2.1\n192.0.2.2\n');
    assert.equal(text(await get(url, { etag })), '192.0.2.1\n192.0.2.2\n');
    assert.deepEqual(why(await get(url, { maxBytes: 10 })), ['it has more than 10 bytes', false]);
  });

  test('must be one: not a directory, not a device, not a pipe that nobody writes to', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'aether-feed-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    for (const path of [directory, '/dev/zero', pipe]) {
      assert.deepEqual(why(await get(String(pathToFileURL(path)))), [
        'it is no regular file',
        false,
      ]);
    }
    const [message] = why(await get('file:///nowhere'));
    assert.match(message, /ENOENT/);
  });
});
