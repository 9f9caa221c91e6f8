/** The edge's end against the controller's end, over real TLS on loopback. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { OwnerFence } from '../../core/model/edge-spec';
import { caInit, caIssue } from '../ca/authority';
import { EdgeStreamClient } from './client';
import type { Hello } from './proto';
import { type EdgeSession, type EdgeStreamServer, serveEdgeStreams } from './server';

const FENCE: OwnerFence = { clusterIncarnation: 1, shard: 7, ownerRevision: 42 };
const HELLO: Omit<Hello, 'protocol' | 'fence'> = {
  incarnation: 3,
  agentVersion: '0.1.0',
  acceptedRevision: 9,
  acceptedHash: 'abc',
  appliedHash: '',
};

interface Pki {
  edge: { ca: string; cert: string; key: string };
  controller: { ca: Buffer; cert: Buffer; key: Buffer };
}

async function pki(t: TestContext): Promise<Pki> {
  const directory = mkdtempSync(join(tmpdir(), 'aether-stream-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { certPath: ca } = await caInit(directory);
  const edge = await caIssue(directory, { role: 'edge', id: 'fra-1' });
  const controller = await caIssue(directory, { role: 'controller', id: 'c1' });
  return {
    edge: { ca, cert: edge.certPath, key: edge.keyPath },
    controller: {
      ca: readFileSync(ca),
      cert: readFileSync(controller.certPath),
      key: readFileSync(controller.keyPath),
    },
  };
}

/** What either end heard, and a way to wait for it. */
class Heard {
  readonly lines: string[] = [];
  sessions: EdgeSession[] = [];

  async until(pattern: RegExp, withinMs = 10_000): Promise<string> {
    const end = performance.now() + withinMs;
    for (;;) {
      const line = this.lines.find((candidate) => pattern.test(candidate));
      if (line !== undefined) return line;
      if (performance.now() > end) {
        throw new Error(`${pattern} not within ${withinMs} ms in:\n${this.lines.join('\n')}`);
      }
      await delay(5);
    }
  }
}

async function serve(
  t: TestContext,
  { controller: tls }: Pki,
  heard: Heard,
  port = 0,
  fence: OwnerFence | null = FENCE,
): Promise<EdgeStreamServer> {
  const server = await serveEdgeStreams(
    { listen: `127.0.0.1:${port}`, tls, controller: 'c1' },
    {
      fenceOf: () => fence,
      connected: (session, hello) => {
        heard.sessions.push(session);
        heard.lines.push(`up: ${session.node} ${JSON.stringify(hello)}`);
      },
      message: (_, message) => heard.lines.push(`up: ${JSON.stringify(message)}`),
      drained: () => undefined,
      disconnected: () => undefined,
    },
  );
  t.after(() => server.close());
  return server;
}

function dial(t: TestContext, { edge: tls }: Pki, heard: Heard, ...ports: number[]) {
  const controllers = ports.map((port) => `127.0.0.1:${port}`);
  const client = new EdgeStreamClient(
    { controllers, tls },
    {
      hello: () => HELLO,
      welcomed: (controller) => heard.lines.push(`welcomed ${controller}`),
      note: (note) => {
        if (note.what === 'ended') heard.lines.push(`ended ${note.address}: ${note.why}`);
      },
      connected: (controller) => heard.lines.push(`connected ${controller}`),
      disconnected: (why) => heard.lines.push(`disconnected ${why}`),
      message: (fence, down) => heard.lines.push(`down: ${fence.ownerRevision} ${down.message}`),
    },
  );
  t.after(() => client.close());
  client.start();
  return client;
}

test('hello goes up under the name of the certificate, messages go both ways', async (t) => {
  const keys = await pki(t);
  const heard = new Heard();
  const server = await serve(t, keys, heard);
  const client = dial(t, keys, heard, server.port);
  assert.match(await heard.until(/^up: fra-1/), /"acceptedRevision":9,.*"abc"/);
  await heard.until(/^connected c1 \(127\.0\.0\.1:\d+\)$/);
  assert.ok(client.send({ message: 'applied', applied: { revision: 9, hash: 'abc' } }));
  await heard.until(/^up: .*"applied":\{"revision":9/);
  const [session] = heard.sessions;
  session?.send({ message: 'driftAck', driftAck: { incidentId: 'inc-a' } });
  session?.send({
    message: 'recordAck',
    recordAck: { incidentId: 'inc-a', atMs: 1_795_404_690_724 },
  });
  await heard.until(/^down: 42 driftAck$/);
  await heard.until(/^down: 42 recordAck$/);
});

test('what comes without a fence is not handed over: nobody owns us in its words', async (t) => {
  const keys = await pki(t);
  const heard = new Heard();
  const server = await serve(t, keys, heard, 0, null);
  dial(t, keys, heard, server.port);
  await heard.until(/^welcomed/);
  heard.sessions[0]?.send({ message: 'driftAck', driftAck: { incidentId: 'inc-a' } });
  const asked = heard.sessions[0]?.requestStatus(500);
  await assert.rejects(asked ?? Promise.resolve(), /no answer/);
  assert.ok(!heard.lines.some((line) => line.startsWith('down:')));
});

test('a controller that returns is found by the next dial', async (t) => {
  const keys = await pki(t);
  const heard = new Heard();
  const first = await serve(t, keys, heard);
  const client = dial(t, keys, heard, first.port);
  await heard.until(/^connected/);
  await first.close();
  await heard.until(/^disconnected/);
  assert.equal(client.send({ message: 'heartbeat', heartbeat: { atMs: 0 } }), false);
  heard.lines.length = 0;
  await serve(t, keys, heard, first.port);
  await heard.until(/^connected/);
  const failed = heard.lines.filter((line) => line.startsWith('ended'));
  // One may have been under way.
  assert.ok(failed.length <= 1, failed.join('\n'));
});

test('of two controllers the one that lives is found', async (t) => {
  const keys = await pki(t);
  const heard = new Heard();
  const server = await serve(t, keys, heard);
  dial(t, keys, heard, 1, server.port);
  await heard.until(/^connected/);
});

test('a controller of another authority gets no hello', async (t) => {
  const keys = await pki(t);
  const strange = await pki(t);
  const heard = new Heard();
  const server = await serve(t, strange, heard);
  dial(t, { ...keys, edge: { ...strange.edge, ca: keys.edge.ca } }, heard, server.port);
  await heard.until(/^ended/);
  assert.ok(!heard.lines.some((line) => line.startsWith('up:')));
});

test('missing certificates are no reason to stop trying', async (t) => {
  const keys = await pki(t);
  const heard = new Heard();
  dial(t, { ...keys, edge: { ...keys.edge, cert: '/nowhere.pem' } }, heard, 1);
  await heard.until(/^ended .*ENOENT.*nowhere\.pem/);
});
