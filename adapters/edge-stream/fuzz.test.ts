/** Bytes from anywhere, to either end: at worst that stream ends. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import fc from 'fast-check';
import { caInit, caIssue } from '../ca/authority';
import type { Role } from '../ca/identity';
import { EdgeStreamClient } from './client';
import { CONTROLLER_SERVER_NAME, EDGE_STREAM_SERVICE } from './proto';
import { serveEdgeStreams } from './server';

const CONNECT = EDGE_STREAM_SERVICE['Connect']!;
const fence = { clusterIncarnation: 1, shard: 2, ownerRevision: 3 };
const blob = Buffer.from('{"a":1}');
const controllers = [{ id: 'c', address: 'x:1' }];

const UPS: object[] = [
  { hello: { incarnation: 1, agentVersion: '1', acceptedRevision: 2, protocol: 2, fence } },
  { drift: { reportJson: blob } },
  { applied: { revision: 7, hash: 'abc' } },
  { routing: { statusJson: blob, eventsJson: [blob, blob] } },
  { chunkRequest: { sha256: ['a', 'b'] } },
  { deltaRequest: { from: 'a', to: 'b', fromChunks: ['c'] } },
  { moved: { controller: 'b' } },
  { fenced: { fence } },
];
const DOWNS: object[] = [
  { fence, welcome: { controller: 'c', protocol: 2, controllers, spreadMs: 5 } },
  { fence, spec: { revision: 1, hash: 'x', specJson: blob } },
  { fence, redirect: { controller: 'b', address: 'x:1' } },
  { fence, controllers: { controllers } },
  { fence, delta: { from: 'a', to: 'b', data: blob } },
  { fence, recordAck: { incidentId: 'i', atMs: 5 } },
];

/** A message with some bytes changed, cut off or added, or no message at all. */
const spoilt = (messages: readonly object[], serialize: (message: never) => Buffer) =>
  fc.oneof(
    fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
    fc
      .record({
        message: fc.constantFrom(...messages),
        at: fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 4 }),
        cut: fc.nat(200),
        more: fc.uint8Array({ maxLength: 8 }),
      })
      .map(({ message, at, cut, more }) => {
        const bytes = Buffer.from(serialize(message as never));
        for (const [index, byte] of at) if (index < bytes.length) bytes[index] = byte;
        return Buffer.concat([bytes.subarray(0, Math.max(1, cut)), more]);
      }),
  );
const spoiltUp = spoilt(UPS, CONNECT.requestSerialize as (message: never) => Buffer);
const spoiltDown = spoilt(DOWNS, CONNECT.responseSerialize as (message: never) => Buffer);

async function pki(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'aether-fuzz-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  await caInit(directory);
  return async (role: Role, id: string) => {
    const { certPath, keyPath } = await caIssue(directory, { role, id });
    const paths = { ca: join(directory, 'ca.pem'), cert: certPath, key: keyPath };
    const [ca, cert, key] = [paths.ca, certPath, keyPath].map((path) => readFileSync(path)) as [
      Buffer,
      Buffer,
      Buffer,
    ];
    return { paths, ca, cert, key };
  };
}

async function until(what: string, probe: () => boolean): Promise<void> {
  const endsAt = performance.now() + 20_000;
  while (!probe()) {
    if (performance.now() > endsAt) throw new Error(`not within 20 s: ${what}`);
    await delay(5);
  }
}

test('whatever a controller is sent, at worst that stream ends, and others are served', async (t) => {
  const issue = await pki(t);
  const tls = await issue('controller', 'c1');
  const welcomed: string[] = [];
  const server = await serveEdgeStreams(
    { listen: '127.0.0.1:0', tls, controller: 'c1' },
    {
      fenceOf: () => fence,
      connected: ({ node }) => welcomed.push(node),
      message: () => undefined,
      drained: () => undefined,
      disconnected: () => undefined,
    },
  );
  t.after(() => server.close());
  const { ca, cert, key } = await issue('edge', 'mad');
  const client = new grpc.Client(
    `127.0.0.1:${server.port}`,
    grpc.credentials.createSsl(ca, key, cert),
    { 'grpc.ssl_target_name_override': CONTROLLER_SERVER_NAME },
  );
  t.after(() => client.close());
  const open = (): grpc.ClientDuplexStream<Buffer, Buffer> => {
    const same = (bytes: Buffer): Buffer => bytes;
    const call = client.makeBidiStreamRequest<Buffer, Buffer>(CONNECT.path, same, same);
    call.on('error', () => undefined);
    call.resume();
    return call;
  };
  const hello = CONNECT.requestSerialize(UPS[0]);
  for (const messages of fc.sample(fc.array(spoiltUp, { maxLength: 5 }), 150)) {
    const call = open();
    const ended = new Promise((resolve) => call.on('close', resolve));
    if (messages.length % 2 === 0) call.write(hello);
    for (const bytes of messages) call.write(bytes);
    call.end();
    await ended;
  }
  const good = await issue('edge', 'sane');
  const edge = dial(good.paths, server.port);
  t.after(() => edge.close());
  await until('a good edge is welcome', () => welcomed.includes('sane') && edge.primary !== null);
});

function dial(tls: { ca: string; cert: string; key: string }, port: number, ...more: number[]) {
  const client = new EdgeStreamClient(
    { controllers: [port, ...more].map((each) => `127.0.0.1:${each}`), tls },
    {
      hello: () => ({
        incarnation: 1,
        agentVersion: '1',
        acceptedRevision: 0,
        acceptedHash: '',
        appliedHash: '',
      }),
      connected: () => undefined,
      disconnected: () => undefined,
      message: () => undefined,
    },
    // As if no time had to pass between dials.
    () => 0,
  );
  client.start();
  return client;
}

test('whatever an edge is sent, at worst it dials again', async (t) => {
  const issue = await pki(t);
  const { ca, cert, key } = await issue('controller', 'mad');
  const samples = fc.sample(fc.array(spoiltDown, { maxLength: 4 }), 30);
  const welcome = CONNECT.responseSerialize(DOWNS[0]);
  const server = new grpc.Server();
  let streams = 0;
  const same = (bytes: Buffer): Buffer => bytes;
  server.addService(
    {
      Connect: {
        ...CONNECT,
        requestSerialize: same,
        requestDeserialize: same,
        responseSerialize: same,
        responseDeserialize: same,
      },
    },
    {
      Connect: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
        call.on('error', () => undefined);
        call.resume();
        const sample = samples[streams++] ?? [];
        if (sample.length % 2 === 0) call.write(welcome);
        for (const bytes of sample) call.write(bytes);
        if (streams <= samples.length) call.end();
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(
      '127.0.0.1:0',
      grpc.ServerCredentials.createSsl(ca, [{ cert_chain: cert, private_key: key }], true),
      (error, bound) => (error ? reject(error) : resolve(bound)),
    );
  });
  t.after(() => server.forceShutdown());
  const edge = await issue('edge', 'sane');
  const client = dial(edge.paths, port);
  t.after(() => client.close());
  // A process that died, or gave up, would not come again.
  await until('it has heard all, and come once more', () => streams > samples.length);
});
