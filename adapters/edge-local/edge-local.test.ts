/** Both ends over a real unix socket. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { EdgeStatus } from '../../core/model/messages';
import { EdgeLocalClient } from './client';
import type { AuditLine } from '../telemetry/logger';
import { Refused, serveEdgeLocal, type EdgeLocalPort, type EdgeLocalServing } from './server';

function socketPath(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'aether-local-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, 'run', 'edge.sock');
}

/** An agent that answers with what it was asked. */
function echo(): EdgeLocalPort {
  const answer = (what: string): EdgeStatus => ({ problems: [what] }) as unknown as EdgeStatus;
  return {
    status: async () => answer('status'),
    freeze: async ({ forMs, reason, by }) => answer(`freeze ${forMs} ${reason} ${by}`),
    unfreeze: () => Promise.reject(new Error('no disk')),
    override: async ({ prefix, verdict, reason, forMs }) => {
      if (verdict === 'flood') throw new Refused('there is no such verdict');
      const note = `${verdict} ${prefix} ${reason} ${forMs}`;
      return { effective: true, tookMs: 1.5, note };
    },
    stand: async ({ service, stance, reason, forMs }) => {
      if (stance === 'shout') throw new Refused('there is no such stance');
      const note = `${stance} ${service} ${reason} ${forMs}`;
      const routingJson = Buffer.from('{"services":[]}');
      return { effective: true, tookMs: 2.5, note, routingJson };
    },
    askFilter: async (questionJson) => Buffer.from(questionJson),
  };
}

const serving = (lines: AuditLine[] = []): EdgeLocalServing => ({
  node: 'fra-1',
  port: echo(),
  audit: (line) => void lines.push(line),
});

test('verbs arrive with their arguments, and what fails is told', async (t) => {
  const path = socketPath(t);
  const server = await serveEdgeLocal(path, serving());
  t.after(() => server.close());
  using client = new EdgeLocalClient(path, 'ada@ops');
  assert.deepEqual((await client.status()).problems, ['status']);
  assert.deepEqual((await client.freeze(90_000, 'cable work')).problems, [
    'freeze 90000 cable work ada@ops',
  ]);
  await assert.rejects(client.unfreeze(), /no disk/);
});

test('an override and a question arrive whole, and so do their answers', async (t) => {
  const path = socketPath(t);
  const server = await serveEdgeLocal(path, serving());
  t.after(() => server.close());
  using client = new EdgeLocalClient(path);
  const request = { prefix: '192.0.2.0/24', verdict: 'block', reason: 'flood', forMs: 60_000 };
  assert.deepEqual(await client.override(request), {
    effective: true,
    tookMs: 1.5,
    note: 'block 192.0.2.0/24 flood 60000',
  });
  await assert.rejects(client.override({ ...request, verdict: 'flood' }), {
    code: 3,
    details: 'there is no such verdict',
  });
  const question = { kind: 'top', sinceMs: 5, limit: 10 } as const;
  assert.deepEqual(await client.ask(question), question);
});

test('a stance by hand arrives whole, and so does its answer', async (t) => {
  const path = socketPath(t);
  const server = await serveEdgeLocal(path, serving());
  t.after(() => server.close());
  using client = new EdgeLocalClient(path);
  const request = { service: 'dns', stance: 'deprefer', reason: 'cable work', forMs: 60_000 };
  assert.deepEqual(await client.stand(request), {
    effective: true,
    tookMs: 2.5,
    note: 'deprefer dns cable work 60000',
    routing: { services: [] },
  });
  await assert.rejects(client.stand({ ...request, stance: 'shout' }), {
    code: 3,
    details: 'there is no such stance',
  });
});

test('each act leaves a line that says who did what and how it ended; a question leaves none', async (t) => {
  const path = socketPath(t);
  const lines: AuditLine[] = [];
  const ineffective = { effective: false, tookMs: 1, note: 'its filter is off' };
  const port = { ...echo(), override: async () => ineffective };
  const server = await serveEdgeLocal(path, { ...serving(lines), port });
  t.after(() => server.close());
  using client = new EdgeLocalClient(path, 'ada@ops');
  using nameless = new EdgeLocalClient(path, '');
  await client.status();
  await client.ask({ kind: 'stats' });
  await client.freeze(90_000, 'cable work');
  await assert.rejects(nameless.unfreeze());
  await client.override({ prefix: '192.0.2.0/24', verdict: 'none', reason: '', forMs: 0 });
  const stand = { service: 'dns', stance: 'deprefer', reason: 'cable work', forMs: 60_000 };
  await client.stand(stand);
  await assert.rejects(client.stand({ ...stand, service: '', stance: 'shout' }));
  const told = { audit: true, by: 'ada@ops' };
  const given = { reason: 'cable work', forMs: 60_000 };
  const dns = 'AnycastService/dns';
  const [node, no] = ['Node/fra-1', 'refused: there is no such stance'];
  assert.deepEqual(lines, [
    { ...told, verb: 'freeze', object: node, ...given, forMs: 90_000, outcome: 'done' },
    { audit: true, by: 'root', verb: 'unfreeze', object: node, outcome: 'failed: no disk' },
    {
      ...told,
      verb: 'unblock',
      object: '192.0.2.0/24',
      reason: '',
      outcome: 'failed: not in force: its filter is off',
    },
    { ...told, verb: 'drain', object: dns, ...given, outcome: 'done' },
    { ...told, verb: 'shout', object: 'all services', ...given, outcome: no },
  ]);
});

test('only root may connect, and closing takes the socket away', async (t) => {
  const path = socketPath(t);
  const server = await serveEdgeLocal(path, serving());
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await server.close();
  assert.ok(!existsSync(path));
});

test('a socket that a killed agent left is replaced; one that answers is not', async (t) => {
  const path = socketPath(t);
  const first = await serveEdgeLocal(path, serving());
  t.after(() => first.close());
  await assert.rejects(serveEdgeLocal(path, serving()), /another agent serves/);
  const stale = socketPath(t);
  await serveEdgeLocal(stale, serving()).then((server) => server.close());
  writeFileSync(stale, '');
  const second = await serveEdgeLocal(stale, serving());
  t.after(() => second.close());
  using client = new EdgeLocalClient(stale);
  assert.deepEqual((await client.status()).problems, ['status']);
});

test('nobody there is an error that says so', async (t) => {
  using client = new EdgeLocalClient(socketPath(t));
  await assert.rejects(client.status(), /UNAVAILABLE|ENOENT|No connection/);
});
