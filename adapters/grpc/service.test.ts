/** Words of errors as people read them, out of what grpc-js really says. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { plainWords } from './service';

function failed(t: TestContext, address: string, withinMs: number): Promise<ServiceError> {
  const client = new Client(address, credentials.createInsecure());
  t.after(() => client.close());
  const asIs = (bytes: Buffer): Buffer => bytes;
  const deadline = Date.now() + withinMs;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest('/a/b', asIs, asIs, Buffer.alloc(0), { deadline }, (error) =>
      error === null ? reject(new Error('it was answered')) : resolve(error),
    );
  });
}

test('of a socket that is not there', async (t) => {
  const { details, message } = await failed(t, 'unix:/nowhere/at-all.sock', 20_000);
  assert.equal(plainWords(details), 'connect ENOENT /nowhere/at-all.sock');
  assert.equal(plainWords(message), plainWords(details));
});

test('of a port where nobody listens', async (t) => {
  const { details } = await failed(t, '127.0.0.1:1', 20_000);
  assert.equal(plainWords(details), 'connect ECONNREFUSED 127.0.0.1:1');
});

test('of one that does not answer', async (t) => {
  const sockets: Socket[] = [];
  const hole = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1');
  t.after(() => {
    hole.close();
    for (const socket of sockets) socket.destroy();
  });
  await once(hole, 'listening');
  const { port } = hole.address() as AddressInfo;
  const { details } = await failed(t, `127.0.0.1:${port}`, 1_000);
  assert.match(plainWords(details), /^no answer within \d+ s$/);
});

test('what a server has said stays as it is', () => {
  assert.equal(plainWords('No such node: fra-1.'), 'No such node: fra-1.');
});
