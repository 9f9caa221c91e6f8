import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Settings } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { caInit, caIssue, caReissue } from '../ca/authority';
import { DOOR_LIMITS } from './door';
import { CONTROLLER_SERVER_NAME, type Down, EDGE_STREAM_SERVICE, type Up } from './proto';
import { type EdgeSession, serveEdgeStreams } from './server';

const hello: Up = {
  message: 'hello',
  hello: {
    incarnation: 1,
    agentVersion: '1',
    acceptedRevision: 0,
    acceptedHash: '',
    appliedHash: '',
    protocol: 0,
    fence: null,
  },
};

async function until(what: string, probe: () => boolean): Promise<void> {
  const endsAt = performance.now() + 10_000;
  while (!probe()) {
    if (performance.now() > endsAt) throw new Error(`not within 10 s: ${what}`);
    await sleep(5);
  }
}

/** A server, what it told its handler, and a way to dial it as a bare stream. */
async function world(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'aether-stream-'));
  t.after(() => rmSync(directory, { recursive: true }));
  await caInit(directory);
  const credentials = async (role: 'controller' | 'edge', id: string) => {
    const { certPath, keyPath } = await caIssue(directory, { role, id });
    const [ca, cert, key] = [join(directory, 'ca.pem'), certPath, keyPath].map((path) =>
      readFileSync(path),
    ) as [Buffer, Buffer, Buffer];
    return { ca, cert, key };
  };
  const reissue = (id: string) => caReissue(directory, { role: 'edge', id });
  const told: string[] = [];
  const sessions: EdgeSession[] = [];
  const barred = { beforeMs: 0 };
  const server = await serveEdgeStreams(
    { listen: '127.0.0.1:0', tls: await credentials('controller', 'c1'), controller: 'c1' },
    {
      fenceOf: () => ({ clusterIncarnation: 1, shard: 2, ownerRevision: 3 }),
      barred: (_node, issuedAtMs) => (issuedAtMs < barred.beforeMs ? 'older' : null),
      connected: (session) => {
        told.push(`connected ${session.node}`);
        sessions.push(session);
      },
      message: (session, { message }) => told.push(`${message} from ${session.node}`),
      drained: ({ node }) => told.push(`drained ${node}`),
      disconnected: ({ node }, why) => told.push(`disconnected ${node}: ${why}`),
    },
  );
  t.after(() => server.close());
  const dial = async (node: string, tls?: Awaited<ReturnType<typeof credentials>>) => {
    const { ca, cert, key } = tls ?? (await credentials('edge', node));
    const client = new grpc.Client(
      `127.0.0.1:${server.port}`,
      grpc.credentials.createSsl(ca, key, cert),
      {
        'grpc.ssl_target_name_override': CONTROLLER_SERVER_NAME,
        'grpc.use_local_subchannel_pool': 1,
      },
    );
    t.after(() => client.close());
    const { path, requestSerialize, responseDeserialize } = EDGE_STREAM_SERVICE['Connect']!;
    const open = () => {
      const call = client.makeBidiStreamRequest<Up, Down>(
        path,
        requestSerialize,
        responseDeserialize,
      );
      const heard: Down[] = [];
      const ended: grpc.status[] = [];
      call.on('data', (down: Down) => heard.push(down));
      call.on('error', () => undefined);
      call.on('status', ({ code }: grpc.StatusObject) => ended.push(code));
      return { call, heard, ended };
    };
    return { ...open(), another: open };
  };
  return { server, sessions, told, dial, credentials, reissue, barred };
}

test('a connection has no more streams than an edge needs', async (t) => {
  const { server, credentials } = await world(t);
  const tls = await credentials('edge', 'fra-1');
  const servername = CONTROLLER_SERVER_NAME;
  const session = connect(`https://127.0.0.1:${server.port}`, { ...tls, servername });
  t.after(() => session.destroy());
  const [{ maxConcurrentStreams }] = (await once(session, 'remoteSettings')) as [Settings];
  assert.equal(maxConcurrentStreams, 16);
});

test('hello is answered by welcome, and all that goes down bears the fence', async (t) => {
  const { told, dial, server } = await world(t);
  const edge = await dial('fra-1');
  edge.call.write(hello);
  await until('welcome', () => edge.heard.length === 1);
  const fence = { clusterIncarnation: 1, shard: 2, ownerRevision: 3 };
  assert.deepEqual(edge.heard, [
    {
      fence,
      message: 'welcome',
      welcome: { controller: 'c1', protocol: 2, controllers: [], spreadMs: 0 },
    },
  ]);
  edge.call.write({ message: 'applied', applied: { revision: 1, hash: 'x' } });
  await until('the message is told', () => told.length === 2);
  edge.call.end();
  await until('its end is told', () => told.length === 3);
  assert.deepEqual(told, [
    'connected fra-1',
    'applied from fra-1',
    'disconnected fra-1: the edge ended the stream',
  ]);
  assert.equal(server.session('fra-1'), undefined);
});

test('what is not the protocol ends the stream', async (t) => {
  const { told, dial } = await world(t);
  const applied = (revision: number): Up => ({
    message: 'applied',
    applied: { revision, hash: '' },
  });
  for (const [node, messages] of [
    ['a', [applied(1)]],
    ['b', [hello, hello]],
    ['c', [hello, applied(2 ** 60)]],
  ] as const) {
    const edge = await dial(node);
    for (const message of messages) edge.call.write(message);
    await until(`the end of ${node}`, () => edge.ended.length === 1);
    assert.deepEqual(edge.ended, [grpc.status.INVALID_ARGUMENT], node);
  }
  assert.ok(!told.includes('applied from c'));
});

test('a kind of message that only a newer edge knows is passed over', async (t) => {
  const { told, dial } = await world(t);
  const edge = await dial('fra-1');
  edge.call.write(hello);
  edge.call.write({} as Up);
  edge.call.write({ message: 'heartbeat', heartbeat: { atMs: 1 } });
  await until('the next one is told', () => told.includes('heartbeat from fra-1'));
});

test('an edge that connects anew takes the place of its former stream', async (t) => {
  const { told, dial, sessions, server } = await world(t);
  const former = await dial('fra-1');
  former.call.write(hello);
  await until('connected', () => told.length === 1);
  const next = await dial('fra-1');
  next.call.write(hello);
  await until('the former one has ended', () => former.ended.length === 1);
  assert.deepEqual(former.ended, [grpc.status.ABORTED]);
  assert.deepEqual(told, ['connected fra-1', 'connected fra-1']);
  assert.equal(server.session('fra-1'), sessions[1]);
  assert.equal(sessions[0]?.beat(), false);
});

test('who has a former certificate of an edge puts none of its connections out, however often he comes', async (t) => {
  const { told, dial, sessions, credentials, reissue, barred } = await world(t);
  const stolen = await credentials('edge', 'fra-1');
  const { certPath } = await reissue('fra-1');
  barred.beforeMs = Date.parse(new X509Certificate(readFileSync(certPath)).validFrom);
  const own = await dial('fra-1');
  own.call.write(hello);
  await until('connected', () => told.length === 1);
  for (let i = 0; i < 2 * DOOR_LIMITS.ofOneClient; i++) {
    const thief = await dial('fra-1', stolen);
    thief.call.write(hello);
    await until('he has his answer', () => thief.ended.length === 1);
  }
  const heard = own.heard.length;
  assert.equal(sessions[0]?.beat(), true);
  await until('the edge hears its controller still', () => own.heard.length > heard);
  assert.deepEqual(own.ended, []);
});

test('a stream that is over says nothing any more, though its end can not be told yet', async (t) => {
  const { told, dial, sessions } = await world(t);
  const former = await dial('fra-1');
  former.call.write(hello);
  await until('connected', () => told.length === 1);
  former.call.pause();
  const specJson = Buffer.alloc(1 << 20);
  const spec = { revision: 1, hash: '', specJson };
  await until('its transport is full', () => !sessions[0]!.send({ message: 'spec', spec }));
  const next = await dial('fra-1');
  next.call.write(hello);
  await until('the next one is connected', () => told.length === 2);
  former.call.write(hello);
  former.call.write({ message: 'applied', applied: { revision: 1, hash: '' } });
  const behind = former.another();
  behind.call.write({ message: 'heartbeat', heartbeat: { atMs: 1 } });
  await until('all that was heard', () => behind.ended.length === 1);
  assert.deepEqual(told, ['connected fra-1', 'connected fra-1']);
  assert.equal(sessions[1]?.beat(), true, 'the next one goes on');
  assert.deepEqual(next.ended, []);
  former.call.resume();
  await until('it is told its end', () => former.ended.length === 1);
  assert.deepEqual(former.ended, [grpc.status.ABORTED]);
});

test('who waits with his hello until his certificate is a former one is not let in by it', async (t) => {
  const { told, dial, credentials, reissue, barred } = await world(t);
  const thief = await dial('fra-1', await credentials('edge', 'fra-1'));
  const other = thief.another();
  other.call.write({ message: 'heartbeat', heartbeat: { atMs: 1 } });
  await until('the streams are open', () => other.ended.length === 1);
  const { certPath } = await reissue('fra-1');
  barred.beforeMs = Date.parse(new X509Certificate(readFileSync(certPath)).validFrom);
  thief.call.write(hello);
  await until('he has his answer', () => thief.ended.length === 1);
  assert.deepEqual(thief.ended, [grpc.status.PERMISSION_DENIED]);
  assert.deepEqual(told, []);
});

test('status is asked and answered, and the answers find their questions', async (t) => {
  const { sessions, told, dial } = await world(t);
  const edge = await dial('fra-1');
  edge.call.write(hello);
  await until('connected', () => told.length === 1);
  const session = sessions[0]!;
  const asked = [session.requestStatus(5_000), session.requestStatus(5_000)];
  await until('both are heard', () => edge.heard.length === 3);
  for (const down of edge.heard.slice(1).reverse()) {
    if (down.message !== 'statusRequest') continue;
    const { id } = down.statusRequest;
    edge.call.write({ message: 'statusReply', statusReply: { id, statusJson: Buffer.from([id]) } });
  }
  assert.deepEqual(
    (await Promise.all(asked)).map(([id]) => id),
    [1, 2],
  );
  await assert.rejects(session.requestStatus(50), /no answer within 50 ms/);
  const unanswered = session.requestStatus(5_000);
  edge.call.cancel();
  await assert.rejects(unanswered, /edge fra-1: /);
  await assert.rejects(session.requestStatus(50), /full or closed/);
});

test('a question about the filters is answered, or told why not', async (t) => {
  const { sessions, told, dial } = await world(t);
  const edge = await dial('fra-1');
  edge.call.write(hello);
  await until('connected', () => told.length === 1);
  const session = sessions[0]!;
  const ask = (kind: string) => session.askFilter(Buffer.from(JSON.stringify({ kind })), 5_000);
  const asked = [ask('stats'), ask('trace')] as const;
  const ids = (): [number, string][] =>
    edge.heard.flatMap((down) => {
      if (down.message !== 'filterRequest') return [];
      const { id, questionJson } = down.filterRequest;
      return [[id, Buffer.from(questionJson).toString()] as [number, string]];
    });
  await until('both asked', () => ids().length === 2);
  for (const [id, question] of ids()) {
    const error = question.includes('trace') ? 'no filter on x' : '';
    edge.call.write({
      message: 'filterReply',
      filterReply: { id, answerJson: Buffer.from(question), error },
    });
  }
  assert.equal(Buffer.from(await asked[0]).toString(), '{"kind":"stats"}');
  await assert.rejects(asked[1], /edge fra-1: no filter on x/);
});

test('an edge that does not read is sent no more than its transport holds', async (t) => {
  const { sessions, told, dial } = await world(t);
  const edge = await dial('fra-1');
  edge.call.write(hello);
  await until('connected', () => told.length === 1);
  edge.call.pause();
  const specJson = Buffer.alloc(1 << 20);
  let sent = 0;
  const send = (): boolean =>
    sessions[0]!.send({ message: 'spec', spec: { revision: 1, hash: '', specJson } });
  for (let full = false; !full;) {
    full = !send();
    if (full) break;
    assert.ok(++sent < 200, 'it took 200 MB');
    await sleep(1);
  }
  assert.equal(send(), false);
  edge.call.resume();
  await until('it tells that there is room', () => told.includes('drained fra-1'));
  assert.equal(send(), true);
});
