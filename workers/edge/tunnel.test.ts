/** The Worker's way through the host, without a Worker and without a controller: calls in, calls out. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { test, type TestContext } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import type { Calls } from '../../adapters/edge-stream/dial';
import { waitFor } from '../../adapters/native/test-support';
import { WORKFLOW_SERVICE } from '../../adapters/gateway/server';
import { field } from '../../adapters/gateway/wire';
import { type Leading, Tunnel } from './tunnel';
import { asIs } from '../../adapters/grpc/raw';

/** A controller that answers when it is told to. */
class Asked implements Calls {
  readonly heard: { path: string; text: string; answer: Parameters<Calls['call']>[3] }[] = [];
  cancelled = 0;

  call(...[path, request, , answer]: Parameters<Calls['call']>): { cancel(): void } {
    this.heard.push({ path, text: Buffer.from(request).toString(), answer });
    return { cancel: () => void (this.cancelled += 1) };
  }
}

class Led implements Leading {
  gateway: Calls | null = null;
  private listener: () => void = () => undefined;

  onChange(listener: () => void): void {
    this.listener = listener;
  }

  lead(gateway: Calls | null): void {
    this.gateway = gateway;
    this.listener();
  }
}

async function world(t: TestContext) {
  const led = new Led();
  const tunnel = await Tunnel.open(led);
  t.after(() => tunnel.close());
  const client = new grpc.Client(tunnel.address, grpc.credentials.createInsecure());
  t.after(() => client.close());
  /** What comes back, or the status. */
  const ask = (method: string, request: string): Promise<string> =>
    new Promise((resolve) => {
      const path = `/${WORKFLOW_SERVICE}/${method}`;
      const bytes = Buffer.from(request);
      client.makeUnaryRequest(path, asIs, asIs, bytes, (error, answer) =>
        resolve(error ? grpc.status[error.code] : `answer: ${answer?.toString()}`),
      );
    });
  return { led, tunnel, ask };
}

const POLL = 'PollActivityTaskQueue';
const DONE = 'RespondActivityTaskCompleted';

test('a call waits until somebody leads, and goes there as it came', async (t) => {
  const { led, ask } = await world(t);
  const first = ask(POLL, 'a poll');
  const c1 = new Asked();
  setTimeout(() => led.lead(c1), 50);
  await waitFor('it is passed on', () => c1.heard.length === 1);
  assert.equal(c1.heard[0]?.path, `/${WORKFLOW_SERVICE}/${POLL}`);
  assert.equal(c1.heard[0]?.text, 'a poll');
  c1.heard[0]?.answer(null, Buffer.from('a task'));
  assert.equal(await first, 'answer: a task');
  assert.equal(await ask('StartWorkflowExecution', ''), 'UNIMPLEMENTED');
});

test('what was asked of a former controller is given up: a poll has brought nothing, an answer is said again', async (t) => {
  const { led, ask } = await world(t);
  const [c1, c2] = [new Asked(), new Asked()];
  led.lead(c1);
  const [poll, done, late] = [ask(POLL, ''), ask(DONE, ''), ask(DONE, 'in time')];
  await waitFor('c1 is asked', () => c1.heard.length === 3);
  led.lead(c2);
  c1.heard.find(({ text }) => text === 'in time')?.answer(null, Buffer.from('ok'));
  assert.equal(await late, 'answer: ok');
  assert.equal(await poll, 'answer: ');
  assert.equal(await done, 'UNAVAILABLE');
  assert.equal(c1.cancelled, 1, 'the poll is not cancelled');
  assert.equal(c2.heard.length, 0);
});

test('a task that a former controller had for us yet is given to the next poll; what ends without one is nothing', async (t) => {
  const { led, ask } = await world(t);
  const [c1, c2] = [new Asked(), new Asked()];
  led.lead(c1);
  const polls = [ask(POLL, ''), ask(POLL, '')];
  await waitFor('c1 is asked', () => c1.heard.length === 2);
  led.lead(c2);
  assert.deepEqual(await Promise.all(polls), ['answer: ', 'answer: ']);
  const next = ask(POLL, '');
  await waitFor('c2 is asked', () => c2.heard.length === 1);
  c1.heard[0]?.answer(failure(grpc.status.UNAVAILABLE));
  c1.heard[1]?.answer(null, Buffer.from(field(1, Buffer.from('of c1'))));
  assert.match(await next, /of c1$/);
  assert.equal(c2.cancelled, 0, 'what is asked of c2 goes on');
  c2.heard[0]?.answer(null, Buffer.from(field(1, Buffer.from('of c2'))));
  assert.match(await ask(POLL, ''), /of c2$/);
  assert.equal(c1.cancelled, 0);
});

const failure = (code: grpc.status, details = 'no') =>
  Object.assign(new Error(details), { code, details, metadata: new grpc.Metadata() });

test('a connection that is cut has brought nothing, either; who refuses an answer is heard', async (t) => {
  const { led, ask } = await world(t);
  const c1 = new Asked();
  led.lead(c1);
  const [done, poll] = [ask(DONE, 'done'), ask(POLL, '')];
  await waitFor('c1 is asked', () => c1.heard.length === 2);
  c1.heard.find(({ text }) => text === 'done')?.answer(failure(grpc.status.PERMISSION_DENIED));
  assert.equal(await done, 'PERMISSION_DENIED');
  c1.heard.find(({ text }) => text === '')?.answer(failure(grpc.status.UNAVAILABLE));
  led.lead(null);
  assert.equal(await poll, 'answer: ');
});

test('a poll that is refused waits, and is asked again by time and where the stream is another one', async (t) => {
  const { led, tunnel, ask } = await world(t);
  const [c1, c2] = [new Asked(), new Asked()];
  led.lead(c1);
  const poll = ask(POLL, '');
  await waitFor('c1 is asked', () => c1.heard.length === 1);
  assert.equal(tunnel.problem, null);
  c1.heard[0]?.answer(failure(grpc.status.PERMISSION_DENIED, 'it was removed'));
  assert.equal(tunnel.problem, 'it was removed');
  await waitFor('c1 is asked again', () => c1.heard.length === 2, 10_000);
  c1.heard[1]?.answer(failure(grpc.status.NOT_FOUND, 'no such namespace'));
  assert.equal(tunnel.problem, 'no such namespace');
  led.lead(c2);
  assert.equal(c2.heard.length, 1, 'not at once');
  c2.heard[0]?.answer(null, Buffer.from('a task'));
  assert.equal(await poll, 'answer: a task');
  assert.equal(tunnel.problem, null);
});

test('a poll that can not be passed on now waits, and is asked again soon: the Worker would pause for longer', async (t) => {
  const { led, tunnel, ask } = await world(t);
  const c1 = new Asked();
  led.lead(c1);
  const poll = ask(POLL, '');
  await waitFor('c1 is asked', () => c1.heard.length === 1);
  c1.heard[0]?.answer(failure(grpc.status.UNAVAILABLE, 'no way to Temporal'));
  await waitFor('it is told', () => tunnel.problem === 'no way to Temporal');
  await waitFor('c1 is asked again', () => c1.heard.length === 2);
  c1.heard[1]?.answer(null, Buffer.from('a task'));
  assert.equal(await poll, 'answer: a task');
  assert.equal(tunnel.problem, null);
});

test('before a stop nothing waits any more', async (t) => {
  const { tunnel, ask } = await world(t);
  const waiting = ask(POLL, '');
  setTimeout(() => tunnel.waitNoMore(), 50);
  assert.equal(await waiting, 'UNAVAILABLE');
  assert.equal(await ask(POLL, ''), 'UNAVAILABLE');
});

const NOBODY = 65_534;

/** Dials the tunnel, says hello in HTTP/2, and tells by its exit what came of it: 3 an answer, 4 the end. */
const stranger = (tunnel: Tunnel, from: object = {}): string => {
  const [host, port] = tunnel.address.split(':');
  return `require('node:net').connect(${JSON.stringify({ host, port, ...from })})
    .on('data', () => process.exit(3)).on('close', () => process.exit(4)).on('error', () => 0)
    .write('PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n\\0\\0\\0\\4\\0\\0\\0\\0\\0')`;
};

async function run(script: string, uid: number): Promise<unknown> {
  const child = spawn(process.execPath, ['-e', script], { uid, stdio: 'inherit', cwd: '/' });
  const [code] = (await once(child, 'exit')) as [number];
  return code;
}

/** Null: this process may be nobody else. */
const asNobody = async (script: string): Promise<unknown> =>
  process.getuid?.() === 0 ? run(script, NOBODY).catch(() => null) : null;

test('another user of the host does not get in', async (t) => {
  const { tunnel } = await world(t);
  assert.equal(await run(stranger(tunnel), process.getuid?.() ?? 0), 3, 'who runs it is answered');
  const other = await asNobody(stranger(tunnel));
  if (other === null) return t.skip('no other user here');
  assert.equal(other, 4, 'another one is put out');
});

test('nor by another address, with the number of a port that is ours', async (t) => {
  const { tunnel } = await world(t);
  const [host, port] = tunnel.address.split(':');
  const own = connect(Number(port), host).on('error', () => undefined);
  t.after(() => own.destroy());
  await once(own, 'connect');
  const { port: localPort } = own.address() as AddressInfo;
  const from = { localAddress: '127.0.0.2', localPort };
  const script = stranger(tunnel, from);
  const other = (await asNobody(script)) ?? (await run(script, process.getuid?.() ?? 0));
  assert.equal(other, 4);
});

test('whoever connects in a loop, and is put out, keeps nobody else out', async (t) => {
  const { led, tunnel, ask } = await world(t);
  const [host, port] = tunnel.address.split(':');
  const from = { host, port: Number(port), localAddress: '127.0.0.2' };
  let ended = 0;
  for (let i = 0; i < 64; i++)
    connect(from)
      .on('error', () => undefined)
      .on('close', () => ended++);
  await waitFor('all of them are put out', () => ended === 64);
  const c1 = new Asked();
  led.lead(c1);
  const own = ask(DONE, 'mine');
  await waitFor('ours is passed on', () => c1.heard.length === 1);
  c1.heard[0]?.answer(null, Buffer.from('ok'));
  assert.equal(await own, 'answer: ok');
});
