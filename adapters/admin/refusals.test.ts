/** What is refused before it is read, or because it can't be: over real TLS, as a client sees it. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { caInit, caIssue } from '../ca/authority';
import type { Role } from '../ca/identity';
import { dialMtls, serveMtls } from '../grpc/mtls';
import type { Pem } from '../grpc/tls';
import type { AdminPort } from './proto';
import type { AuditLine } from '../telemetry/logger';
import { adminServed } from './server';
import { asIs } from '../grpc/raw';

const APPLY = '/aether.admin.v1.Admin/Apply';
const STATUS = '/aether.admin.v1.Admin/Status';
async function world(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'aether-admin-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { certPath: ca } = await caInit(directory);
  const pemOf = async (role: Role): Promise<Pem> => {
    const { certPath, keyPath } = await caIssue(directory, { role, id: 'ada' });
    return { ca: readFileSync(ca), cert: readFileSync(certPath), key: readFileSync(keyPath) };
  };
  const audited: AuditLine[] = [];
  const serving = {
    port: {} as AdminPort,
    audit: (line: AuditLine) => void audited.push(line),
    onError: () => undefined,
  };
  const server = await serveMtls('127.0.0.1:0', await pemOf('controller'), [adminServed(serving)]);
  t.after(() => server.close());
  const dial = async (role: Role): Promise<grpc.Client> => {
    const client = dialMtls(`127.0.0.1:${server.port}`, await pemOf(role), () => true);
    t.after(() => client.close());
    return client;
  };
  return { audited, dial };
}

/** How a call ends of which no message is ever sent. */
const unsaid = (client: grpc.Client, path: string): Promise<grpc.StatusObject> =>
  new Promise((resolve) => {
    const call = client.makeBidiStreamRequest(path, asIs, asIs, {
      deadline: Date.now() + 3_000,
    });
    call
      .on('status', resolve)
      .on('error', () => undefined)
      .resume();
  });

test('who may not ask is refused before anything of the request is read', async (t) => {
  const { audited, dial } = await world(t);
  for (const [role, path, verb, needed] of [
    ['viewer', APPLY, 'apply', 'operator'],
    ['edge', APPLY, 'apply', 'operator'],
    ['edge', STATUS, 'status', 'viewer'],
  ] as const) {
    const { code, details } = await unsaid(await dial(role), path);
    assert.equal(code, grpc.status.PERMISSION_DENIED, details);
    assert.equal(
      details,
      `${role}/ada may not ${verb}; it takes the role ${needed}; nothing was done.`,
    );
    assert.deepEqual(audited.splice(0), [
      { audit: true, by: `${role}/ada`, verb, object: 'not read', outcome: `refused: ${details}` },
    ]);
  }
  const { code } = await unsaid(await dial('operator'), APPLY);
  assert.equal(code, grpc.status.DEADLINE_EXCEEDED, 'who may is waited for');
});

test('a request that is no message leaves its line as well', async (t) => {
  const { audited, dial } = await world(t);
  const client = await dial('operator');
  const error = await new Promise<grpc.ServiceError | null>((resolve) =>
    client.makeUnaryRequest(APPLY, asIs, asIs, Buffer.alloc(9, 0xff), (e) => resolve(e)),
  );
  assert.equal(error?.code, grpc.status.INVALID_ARGUMENT);
  assert.match(error.details, /^the request can't be read: .*nothing was done\.$/);
  assert.deepEqual(
    audited.map(({ by, verb, object }) => [by, verb, object]),
    [['operator/ada', 'apply', 'not read']],
  );
});

test('a person leaves a line each time; a certificate that may nothing here can not fill the log', async (t) => {
  const { audited, dial } = await world(t);
  for (const [role, asked] of [
    ['viewer', 5],
    ['edge', 50],
  ] as const) {
    const client = await dial(role);
    await Promise.all(Array.from({ length: asked }, () => unsaid(client, APPLY)));
  }
  const lines = (role: Role): number => audited.filter(({ by }) => by === `${role}/ada`).length;
  assert.equal(lines('viewer'), 5);
  assert.ok(lines('edge') >= 1 && lines('edge') < 25, `${lines('edge')} lines`);
});
