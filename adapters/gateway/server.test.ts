/** The polls of an edge at the gateway, over real TLS, with a Temporal that answers when it is told to. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { caInit, caIssue } from '../ca/authority';
import type { Role } from '../ca/identity';
import { serveEdgeStreams } from '../edge-stream/server';
import { waitFor } from '../native/test-support';
import { EDGE_NAMESPACE, POLL } from './rules';
import { createGateway, rawMethod, type Upstream, WORKFLOW_SERVICE } from './server';
import { TaskTokens } from './tokens';
import { field } from './wire';

const text = (number: number, value: string): Uint8Array => field(number, Buffer.from(value));
const REQUEST = Buffer.concat([
  text(1, EDGE_NAMESPACE),
  field(2, text(1, 'edge/fra-1')),
  text(3, 'fra-1@1'),
]);
/** A PollActivityTaskQueueResponse with an activity id, and no token to be sealed. */
const task = (id: string): Uint8Array => text(5, id);

class Temporal implements Upstream {
  readonly polls: Parameters<Upstream['call']>[3][] = [];
  cancelled = 0;

  call(...[, , , done]: Parameters<Upstream['call']>): { cancel(): void } {
    this.polls.push(done);
    return { cancel: () => void (this.cancelled += 1) };
  }
}

async function world(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'aether-gateway-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { certPath } = await caInit(directory);
  const pem = async (role: Role, id: string) => {
    const issued = await caIssue(directory, { role, id });
    const [ca, cert, key] = [certPath, issued.certPath, issued.keyPath].map((p) => readFileSync(p));
    return { ca: ca ?? Buffer.alloc(0), cert: cert ?? ca!, key: key ?? ca! };
  };
  const upstream = new Temporal();
  const tokens = new TaskTokens(Buffer.alloc(32, 7));
  const gateway = createGateway({
    cluster: () => ({ namespace: 'default', tokens, upstream }),
    refusedPaths: [],
    onCall: () => undefined,
    onRefused: () => undefined,
  });
  const tls = await pem('controller', 'c1');
  const server = await serveEdgeStreams(
    { listen: '127.0.0.1:0', tls, controller: 'c1', beside: gateway },
    {
      fenceOf: () => null,
      connected: () => undefined,
      message: () => undefined,
      drained: () => undefined,
      disconnected: () => undefined,
    },
  );
  t.after(() => server.close());
  const edge = await pem('edge', 'fra-1');
  const method = rawMethod(`/${WORKFLOW_SERVICE}/${POLL}`);
  const connect = () => {
    const credentials = grpc.credentials.createSsl(edge.ca, edge.key, edge.cert);
    const client = new grpc.Client(`127.0.0.1:${server.port}`, credentials, {
      'grpc.ssl_target_name_override': 'controller.aether',
      'grpc.default_authority': 'controller.aether',
      'grpc.use_local_subchannel_pool': 1,
    });
    t.after(() => client.close());
    return (withinMs: number) => {
      let call: grpc.ClientUnaryCall | undefined;
      const answer = new Promise<string>((resolve) => {
        const { path, requestSerialize, responseDeserialize } = method;
        const deadline = Date.now() + withinMs;
        call = client.makeUnaryRequest(
          path,
          requestSerialize as (bytes: Buffer) => Buffer,
          responseDeserialize as (bytes: Buffer) => Buffer,
          REQUEST,
          { deadline },
          (error, bytes) => resolve(error ? grpc.status[error.code] : (bytes?.toString() ?? '')),
        );
      });
      return { answer, cancel: () => call?.cancel() };
    };
  };
  const underWay = (count: number): Promise<boolean> =>
    waitFor(`${count} polls went on`, () => upstream.polls.length >= count);
  return { upstream, connect, underWay };
}

const LONG_MS = 70_000;

test('who leaves takes his poll back from Temporal, and no other one', async (t) => {
  const { upstream, connect, underWay } = await world(t);
  const poll = connect();
  const first = poll(LONG_MS);
  await underWay(1);
  const second = poll(LONG_MS);
  await underWay(2);
  first.cancel();
  assert.equal(await first.answer, 'CANCELLED');
  upstream.polls[1]?.(null, task('later'));
  assert.match(await second.answer, /later/);
  await waitFor('it is taken back', () => upstream.cancelled === 1);
});

test('of a flood of polls as many are taken as an edge may have, and the rest is refused', async (t) => {
  const { upstream, connect, underWay } = await world(t);
  const poll = connect();
  const answers: string[] = [];
  for (let i = 0; i < 40; i++) void poll(LONG_MS).answer.then((answer) => answers.push(answer));
  await waitFor('the rest is refused', () => answers.length === 32);
  assert.deepEqual(new Set(answers.splice(0)), new Set(['RESOURCE_EXHAUSTED']));
  await underWay(8);
  for (const answer of upstream.polls) answer(null, task('one'));
  await waitFor('they are answered', () => answers.length === 8);
  assert.equal(upstream.polls.length, 8);
});
