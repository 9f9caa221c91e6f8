/** Both ends over a real unix socket. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Client, credentials } from '@grpc/grpc-js';
import type { BfdReport, Lease } from '../../core/announce/types';
import { until } from '../testing/until';
import { type Attachment, BfdClient } from './client';
import { BFD_SERVICE, decodeTold, type ReportMessage, type TimedEvent, type Told } from './proto';
import { type BfdServer, EVENTS_KEPT, serveBfd } from './server';

const LEASE: Lease = { asn: 65001, graceMs: 30_000, paths: [], sessions: [] };

const REPORT: BfdReport = {
  atMs: 1,
  realtime: { held: true, problem: null },
  gobgpd: { problem: null },
  sessions: [],
  peers: [],
  paths: [],
  expired: null,
};

const event = (atMs: number): TimedEvent => ({ kind: 'bfdUp', peer: '192.0.2.1', atMs });

interface Stage {
  path: string;
  server: BfdServer;
  leases: (Lease | null)[];
  report: BfdReport;
}

async function stage(t: TestContext): Promise<Stage> {
  const directory = mkdtempSync(join(tmpdir(), 'aether-bfd-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'run', 'bfd.sock');
  const leases: (Lease | null)[] = [];
  const port = {
    leased: (lease: Lease | null) => void leases.push(lease),
    report: () => set.report,
  };
  const server = await serveBfd(path, port);
  t.after(() => server.close());
  const set: Stage = { path, server, leases, report: REPORT };
  return set;
}

interface Attached extends Attachment {
  told: Told[];
  ended: (string | null)[];
}

function attach(t: TestContext, path: string): Attached {
  const client = new BfdClient(path);
  const [told, ended]: [Told[], (string | null)[]] = [[], []];
  const attachment = client.attach(
    (more) => told.push(more),
    (problem) => ended.push(problem),
  );
  t.after(() => {
    attachment.close();
    client[Symbol.dispose]();
  });
  return { ...attachment, told, ended };
}

test('leases go up, the report comes down at once and with each change', async (t) => {
  const { path, server, leases, ...set } = await stage(t);
  const agent = attach(t, path);
  await until('the first report', () => agent.told.length === 1);
  assert.deepEqual(agent.told[0], { report: set.report, events: [], told: 0 });
  agent.lease(LEASE);
  agent.lease(null);
  await until('both leases', () => leases.length === 2);
  assert.deepEqual(leases, [LEASE, null]);
  server.tell([event(1)]);
  server.tell([event(2)]);
  await until('both events', () => agent.told.length === 2);
  assert.deepEqual(agent.told[1]?.events, [event(1), event(2)]);
});

test('events wait for somebody to attach, the last hundred', async (t) => {
  const { path, server } = await stage(t);
  for (let i = 0; i < EVENTS_KEPT + 5; i++) server.tell([event(i)]);
  const agent = attach(t, path);
  await until('the first report', () => agent.told.length === 1);
  assert.equal(agent.told[0]?.events.length, EVENTS_KEPT);
  assert.equal(agent.told[0]?.events[0]?.atMs, 5);
  server.tell([]);
  await until('another report', () => agent.told.length === 2);
  assert.deepEqual(agent.told[1]?.events, [], 'to one agent once');
});

test('what an agent has not taken when it dies is told to the next one', async (t) => {
  const { path, server, leases } = await stage(t);
  const first = attach(t, path);
  server.tell([event(1)]);
  await until('told', () => first.told.some(({ events }) => events.length === 1));
  first.close();
  const second = attach(t, path);
  server.tell([event(2)]);
  await until('told anew', () => second.told.flatMap(({ events }) => events).length === 2);
  second.lease(LEASE);
  await until('taken', () => leases.length === 1);
  second.close();
  server.tell([event(3)]);
  const third = attach(t, path);
  await until('the first report', () => third.told.length === 1);
  assert.deepEqual(third.told[0]?.events, [event(3)]);
});

test('a new agent takes the place of the former one, whose leases count no more', async (t) => {
  const { path, leases } = await stage(t);
  const first = attach(t, path);
  await until('attached', () => first.told.length === 1);
  const second = attach(t, path);
  await until('superseded', () => first.ended.length === 1);
  assert.deepEqual(first.ended, [null]);
  first.lease({ ...LEASE, asn: 1 });
  second.lease({ ...LEASE, asn: 2 });
  await until('the lease of the second', () => leases.length > 0);
  assert.deepEqual(
    leases.map((lease) => lease?.asn),
    [2],
  );
});

test('what is no lease ends the stream with a reason, and nothing else', async (t) => {
  const { path, leases } = await stage(t);
  const agent = attach(t, path);
  agent.lease({ asn: 1 } as Lease);
  await until('refused', () => agent.ended.length === 1);
  assert.match(agent.ended[0] ?? '', /a lease has asn/);
  const next = attach(t, path);
  next.lease(LEASE);
  await until('leased', () => leases.length === 1);
});

test('an agent that hangs is told the newest once it reads again, not all that was', async (t) => {
  const set = await stage(t);
  const client = new Client(`unix:${set.path}`, credentials.createInsecure());
  const method = BFD_SERVICE['Attach'];
  assert.ok(method);
  const read = method.responseDeserialize as (bytes: Buffer) => ReportMessage;
  const stream = client.makeBidiStreamRequest(method.path, method.requestSerialize, read);
  t.after(() => {
    stream.cancel();
    client.close();
  });
  const told: Told[] = [];
  stream.on('data', (message: ReportMessage) => told.push(decodeTold(message)));
  stream.on('error', () => undefined);
  await until('attached', () => told.length === 1);
  stream.pause();
  const problem = 'x'.repeat(100_000);
  for (let atMs = 2; atMs <= 300; atMs++) {
    set.report = { ...REPORT, atMs, gobgpd: { problem } };
    set.server.tell([event(atMs)]);
    await setImmediate();
  }
  stream.resume();
  await until('the newest', () => told.at(-1)?.report.atMs === 300);
  assert.ok(told.length < 100, `${told.length} reports were kept for it`);
  assert.equal(told.at(-1)?.events.at(-1)?.atMs, 300);
});

test('a look disturbs nobody; nobody there is an error that says so', async (t) => {
  const { path, server, report } = await stage(t);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const agent = attach(t, path);
  await until('attached', () => agent.told.length === 1);
  using client = new BfdClient(path);
  assert.deepEqual(await client.look(), report);
  assert.equal(agent.ended.length, 0);
  await server.close();
  await until('told', () => agent.ended.length === 1);
  await assert.rejects(client.look(), /UNAVAILABLE|ENOENT|No connection/);
});
