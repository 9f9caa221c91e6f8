/** A rotation, cut at each place where it can be, and who believes whom on the way. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { certificatesIn, misfit } from '../grpc/tls';
import { CaError, caInit, caIssue } from './authority';
import { beginRotation, finishRotation, reissueAll, rotationOf } from './rotation';

async function authority(t: TestContext): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'aether-rotate-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  await caInit(directory);
  await caIssue(directory, { role: 'controller', id: 'c1', ipAddresses: ['192.0.2.1'] });
  await caIssue(directory, { role: 'edge', id: 'fra-1', validDays: 90 });
  return directory;
}

const read = (directory: string, name: string): Buffer => readFileSync(join(directory, name));
const fits = (directory: string, leaf: string): string | null =>
  misfit({
    ca: read(directory, 'ca.pem'),
    cert: read(directory, `${leaf}.pem`),
    key: read(directory, `${leaf}.key`),
  });

test('from one authority to the next everybody is believed, and names stay', async (t) => {
  const directory = await authority(t);
  const before = new X509Certificate(read(directory, 'controller/c1.pem'));
  assert.equal(rotationOf(directory).stage, 'none');

  const begun = await beginRotation(directory);
  assert.equal(begun.stage, 'begun');
  assert.equal(begun.pending.length, 2);
  assert.deepEqual(
    certificatesIn(read(directory, 'ca.pem')).map(({ fingerprint256 }) => fingerprint256),
    [begun.old, begun.next],
  );
  assert.equal(fits(directory, 'controller/c1'), null);
  // Who is issued one now has one of the old authority, which is believed.
  await caIssue(directory, { role: 'edge', id: 'ams-1' });
  assert.equal(fits(directory, 'edge/ams-1'), null);
  assert.deepEqual(await beginRotation(directory), rotationOf(directory));

  const oldBundle = read(directory, 'ca.pem');
  const oldEdge = {
    cert: read(directory, 'edge/fra-1.pem'),
    key: read(directory, 'edge/fra-1.key'),
  };
  const reissued = await reissueAll(directory);
  assert.equal(reissued.stage, 'reissuing');
  assert.deepEqual([reissued.pending.length, reissued.reissued.length], [0, 3]);
  const after = new X509Certificate(read(directory, 'controller/c1.pem'));
  assert.equal(after.subjectAltName, before.subjectAltName);
  assert.notEqual(after.fingerprint256, before.fingerprint256);
  const edge = new X509Certificate(read(directory, 'edge/fra-1.pem'));
  assert.equal(
    Math.round((Date.parse(edge.validTo) - Date.parse(edge.validFrom)) / 86_400_000),
    90,
  );
  // Both kinds are believed by both bundles.
  for (const ca of [oldBundle, read(directory, 'ca.pem')]) {
    assert.equal(misfit({ ca, ...oldEdge }), null);
  }
  assert.equal(fits(directory, 'edge/fra-1'), null);

  assert.equal(finishRotation(directory).stage, 'none');
  assert.equal(certificatesIn(read(directory, 'ca.pem')).length, 1);
  assert.equal(fits(directory, 'edge/fra-1'), null);
  assert.match(
    misfit({ ca: read(directory, 'ca.pem'), ...oldEdge }) ?? '',
    /none of the authorities/,
  );
  await caIssue(directory, { role: 'edge', id: 'lax-1' });
  assert.equal(fits(directory, 'edge/lax-1'), null);
  // Another one may follow.
  assert.equal((await beginRotation(directory)).stage, 'begun');
});

test('a step out of its order is refused, and says what comes first', async (t) => {
  const directory = await authority(t);
  await assert.rejects(reissueAll(directory), /no rotation has begun.*ca rotate begin/);
  await beginRotation(directory);
  assert.throws(() => finishRotation(directory), /not reissued yet:.*c1\.pem.*ca rotate reissue/);
  assert.equal(fits(directory, 'edge/fra-1'), null);
});

test('a reissue that was cut goes on, and nothing is issued in between that nobody believes', async (t) => {
  const directory = await authority(t);
  await beginRotation(directory);
  // As it is right after the key of the new authority was put in place.
  const key = read(directory, 'ca.key');
  writeFileSync(join(directory, 'rotation/old.pem'), read(directory, 'ca.pem'));
  writeFileSync(join(directory, 'rotation/old.key'), key);
  writeFileSync(join(directory, 'ca.key'), read(directory, 'rotation/ca.key'));
  await assert.rejects(
    caIssue(directory, { role: 'edge', id: 'ams-1' }),
    (error) => error instanceof CaError && /rotate reissue/.test(error.message),
  );
  const { pending, reissued } = await reissueAll(directory);
  assert.deepEqual([pending.length, reissued.length], [0, 2]);

  // As it is after some of the certificates.
  const issued = read(directory, 'edge/fra-1.pem');
  const again = await reissueAll(directory);
  assert.equal(again.reissued.length, 2);
  assert.deepEqual(read(directory, 'edge/fra-1.pem'), issued);
  assert.equal(finishRotation(directory).stage, 'none');
  assert.equal(finishRotation(directory).stage, 'none');
});

test('a retirement that was cut leaves no key of the old authority for long', async (t) => {
  const directory = await authority(t);
  const left = join(directory, 'rotation.retired');
  mkdirSync(left);
  writeFileSync(join(left, 'old.key'), 'a key');
  assert.equal(finishRotation(directory).stage, 'none');
  assert.equal(existsSync(left), false);
});
