import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, unlinkSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { connect, createServer, type PeerCertificate, type TLSSocket } from 'node:tls';
import { CaError, caInit, caIssue, caReissue, type Issued } from './authority';
import { type Identity, identityOf, spiffeUri } from './identity';

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'aether-ca-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

/** Credentials as node:tls wants them. */
function credentials(authority: string, issued: Issued) {
  return {
    ca: readFileSync(join(authority, 'ca.pem')),
    cert: readFileSync(issued.certPath),
    key: readFileSync(issued.keyPath),
  };
}

/** Who the server saw; rejects where either side refused the other. */
async function handshake(
  server: ReturnType<typeof credentials>,
  client: ReturnType<typeof credentials>,
): Promise<Identity | null> {
  const listener = createServer({ ...server, requestCert: true, rejectUnauthorized: true });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const seen = new Promise<PeerCertificate>((resolve, reject) => {
    listener.on('secureConnection', (socket: TLSSocket) => resolve(socket.getPeerCertificate()));
    listener.on('tlsClientError', reject);
  });
  const socket = connect({ ...client, port, host: '127.0.0.1', servername: 'controller.aether' });
  try {
    const refused = once(socket, 'close').then(() => {
      throw new Error('closed by the server');
    });
    await Promise.race([once(socket, 'secureConnect'), refused]);
    return identityOf(await seen);
  } finally {
    seen.catch(() => undefined);
    socket.on('error', () => undefined);
    socket.destroy();
    listener.close();
  }
}

test('an edge and a controller of one authority accept each other, and the edge is known by name', async (t) => {
  const ca = directory(t);
  await caInit(ca);
  const controller = await caIssue(ca, { role: 'controller', id: 'c1' });
  const edge = await caIssue(ca, { role: 'edge', id: 'fra-1' });
  assert.deepEqual(await handshake(credentials(ca, controller), credentials(ca, edge)), {
    role: 'edge',
    id: 'fra-1',
  });
});

test('a certificate of another authority is refused', async (t) => {
  const [ours, theirs] = [directory(t), directory(t)];
  await caInit(ours);
  await caInit(theirs);
  const controller = await caIssue(ours, { role: 'controller', id: 'c1' });
  const stranger = await caIssue(theirs, { role: 'edge', id: 'fra-1' });
  const client = { ...credentials(theirs, stranger), ca: readFileSync(join(ours, 'ca.pem')) };
  await assert.rejects(handshake(credentials(ours, controller), client));
});

test('an expired certificate is refused', async (t) => {
  const ca = directory(t);
  await caInit(ca);
  const controller = await caIssue(ca, { role: 'controller', id: 'c1' });
  const lastYear = Date.now() - 366 * 86_400_000;
  const edge = await caIssue(ca, { role: 'edge', id: 'fra-1' }, lastYear);
  await assert.rejects(handshake(credentials(ca, controller), credentials(ca, edge)));
});

test('an edge cannot pose as a controller', async (t) => {
  const ca = directory(t);
  await caInit(ca);
  const edge = await caIssue(ca, { role: 'edge', id: 'a', dnsNames: ['controller.aether'] });
  const victim = await caIssue(ca, { role: 'edge', id: 'b' });
  await assert.rejects(handshake(credentials(ca, edge), credentials(ca, victim)), {
    code: 'INVALID_PURPOSE',
  });
});

test('keys are for their owner only, serials differ', async (t) => {
  const ca = directory(t);
  const authority = await caInit(ca);
  const a = await caIssue(ca, { role: 'edge', id: 'a' });
  const b = await caIssue(ca, { role: 'etcd', id: 'b', ipAddresses: ['127.0.0.1', '::1'] });
  for (const { keyPath } of [authority, a, b]) {
    assert.equal((statSync(keyPath).mode & 0o777).toString(8), '600', keyPath);
  }
  const read = (issued: Issued) => new X509Certificate(readFileSync(issued.certPath));
  assert.equal(new Set([authority, a, b].map((x) => read(x).serialNumber)).size, 3);
  assert.equal(read(b).checkIP('::1'), '::1');
  assert.equal(read(a).subjectAltName, `URI:${spiffeUri({ role: 'edge', id: 'a' })}`);
});

test('both verbs may be repeated and change nothing', async (t) => {
  const ca = directory(t);
  const issue = () => caIssue(ca, { role: 'controller', id: 'c1', dnsNames: ['c1.example'] });
  const first = [await caInit(ca), await issue()];
  const bytes = first.map((issued) => readFileSync(issued.keyPath, 'utf8'));
  const second = [await caInit(ca), await issue()];
  assert.deepEqual(
    second.map(({ created }) => created),
    [false, false],
  );
  assert.deepEqual(
    second.map((issued) => readFileSync(issued.keyPath, 'utf8')),
    bytes,
  );
});

test('what is there and not good is refused, never overwritten', async (t) => {
  const ca = directory(t);
  const refuses = (code: string, request: Parameters<typeof caIssue>[1]) =>
    assert.rejects(
      caIssue(ca, request),
      (error) => error instanceof CaError && error.failure.code === code,
    );
  await refuses('noAuthority', { role: 'edge', id: 'a' });
  await caInit(ca);
  await refuses('badName', { role: 'edge', id: '../ca' });
  const issued = await caIssue(ca, { role: 'controller', id: 'c1' });
  const before = readFileSync(issued.certPath, 'utf8');
  await refuses('notGood', { role: 'controller', id: 'c1', dnsNames: ['other.example'] });
  const nextYear = Date.now() + 365 * 86_400_000;
  await assert.rejects(
    caIssue(ca, { role: 'controller', id: 'c1' }, nextYear),
    /expires.*--again$/,
  );
  assert.equal(readFileSync(issued.certPath, 'utf8'), before);
  unlinkSync(issued.certPath);
  await refuses('half', { role: 'controller', id: 'c1' });
  unlinkSync(join(ca, 'ca.key'));
  await assert.rejects(caInit(ca), /nothing was written/);
});

test('a name that only looks like ours is nobody', () => {
  const of = (subjectaltname: string) => identityOf({ subjectaltname });
  assert.deepEqual(of('DNS:controller.aether, URI:spiffe://aether/controller/c1'), {
    role: 'controller',
    id: 'c1',
  });
  for (const foreign of [
    '',
    'DNS:spiffe://aether/edge/a',
    'URI:spiffe://elsewhere/edge/a',
    'URI:spiffe://aether/edge/a/b',
    'URI:spiffe://aether/king/a',
    'URI:spiffe://aether/edge/A',
    'DNS:"x, URI:spiffe://aether/edge/a"',
    'URI:spiffe://aether/edge/a, URI:spiffe://aether/edge/b',
  ]) {
    assert.equal(of(foreign), null, foreign);
  }
});

test('another one is good from later on than the one before, also when the clock went back', async (t) => {
  const ca = directory(t);
  const nowMs = Date.UTC(2026, 10, 27);
  await caInit(ca, nowMs);
  const edge = { role: 'edge', id: 'fra-1' } as const;
  const { certPath } = await caIssue(ca, { ...edge, validDays: 90 }, nowMs);
  const read = () => new X509Certificate(readFileSync(certPath));
  const times = [read().validFrom];
  for (const laterMs of [0, -60_000, 3_600_000]) {
    await caReissue(ca, edge, nowMs + laterMs);
    times.push(read().validFrom);
  }
  const first = Date.parse(times[0] ?? '');
  assert.deepEqual(
    times.map((time) => Date.parse(time) - first),
    [0, 1_000, 2_000, 3_600_000],
  );
  assert.equal(Date.parse(read().validTo) - Date.parse(read().validFrom), 90 * 86_400_000);

  const before = readFileSync(certPath);
  await assert.rejects(
    caReissue(ca, edge, nowMs),
    /fra-1\.pem is good from 2026-11-27T00:55:00Z and the clock of this host says 2026-11-27T00:00:00Z.*nothing was written/,
  );
  assert.deepEqual(readFileSync(certPath), before);
  await assert.rejects(caReissue(ca, { ...edge, id: 'ams-1' }), /there is no .*ams-1\.pem/);
});
