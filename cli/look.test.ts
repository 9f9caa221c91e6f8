/** Whoever waits, where the controller that he asked goes away and another one answers. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { AdminPort } from '../adapters/admin/proto';
import { adminServed } from '../adapters/admin/server';
import { caInit, caIssue } from '../adapters/ca/authority';
import type { Role } from '../adapters/ca/identity';
import { type MtlsServer, serveMtls } from '../adapters/grpc/mtls';
import { EXIT } from './exit-codes';
import { aether } from './testing';

test('whoever waits at a controller that dies goes on at the next one, and is told once', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'aether-look-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const ca = await caInit(directory);
  const issued = (role: Role, id: string) => caIssue(directory, { role, id });
  const { certPath, keyPath } = await issued('controller', 'c1');
  const [cert, key] = [readFileSync(certPath), readFileSync(keyPath)];
  const tls = { ca: readFileSync(ca.certPath), cert, key };

  let looks = 0;
  const serve = async (): Promise<MtlsServer> => {
    const port = {
      drainController: async () => ({ holds: 3 }),
      members: async () => {
        looks += 1;
        // Whichever of the two is asked the second time dies over it.
        if (looks === 2) return new Promise(() => setImmediate(() => void server.close()));
        return [{ id: 'c9', holds: looks > 3 ? 0 : 3 }];
      },
    } as unknown as AdminPort;
    const served = adminServed({ port, audit: () => undefined, onError: () => undefined });
    const server = await serveMtls('127.0.0.1:0', tls, [served]);
    t.after(() => server.close());
    return server;
  };
  const servers = await Promise.all([serve(), serve()]);

  const operator = await issued('operator', 'ada');
  const { code, stdout, stderr } = await aether(
    ...['controller', 'drain', 'c9', '--tls-ca', ca.certPath],
    ...['--tls-cert', operator.certPath, '--tls-key', operator.keyPath],
    ...['--server', servers.map(({ port }) => `127.0.0.1:${port}`).join(',')],
  );
  assert.equal(code, EXIT.ok, stderr);
  assert.match(stdout, /^c9 holds no shard\.$/m);
  assert.equal(
    stderr.match(/^127\.0\.0\.1:\d+: .*; asking 127\.0\.0\.1:\d+ …$/gm)?.length,
    1,
    stderr,
  );
  assert.equal(stderr.match(/c9 holds 3 shards/g)?.length, 1, 'only what has changed is told');
});
