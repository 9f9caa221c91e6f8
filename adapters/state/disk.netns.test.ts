/** A full and a read-only disk: tmpfs of 64 KiB in a mount namespace of its own. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

/** Runs `body` (of an async function over `file`, `blobs`, `at`, `sh`) there, by way of `wrapper`; its stdout. */
function onSmallDisk(body: string, wrapper = ''): string {
  const script = `
    const { CheckedFile } = require(${JSON.stringify(join(__dirname, 'checked-file.js'))});
    const { BlobStore } = require(${JSON.stringify(join(__dirname, 'blobs.js'))});
    const { createHash } = require('node:crypto');
    const at = process.argv[1];
    const blobs = new BlobStore(at + '/chunks');
    const hash = (bytes) => createHash('sha256').update(bytes).digest('hex');
    const file = new CheckedFile(at + '/x.json');
    const sh = (command) => require('node:child_process').execSync(command, { stdio: 'pipe' });
    (async () => { ${body} })().catch((e) => { console.log('FAILED', e); process.exit(1); });`;
  const prepare =
    'at=$(mktemp -d); mount -t tmpfs -o size=64k tmpfs "$at"; $2 "$0" -e "$1" "$at"; code=$?; ' +
    'umount "$at"; rmdir "$at"; exit $code';
  const args = ['--mount', '--propagation', 'private', 'sh', '-c', prepare];
  const rest = [process.execPath, script, wrapper];
  return execFileSync('unshare', [...args, ...rest], { encoding: 'utf8' });
}

test('a full disk rejects with ENOSPC, keeps the former value, and no half file stays', () => {
  const out = onSmallDisk(`
    await file.save({ small: true });
    const error = await file.save('x'.repeat(100_000)).catch((e) => e);
    console.log(error.code, JSON.stringify(await file.load()), sh('ls ' + at).toString().trim());
    await file.save({ small: 'again' });
    console.log(JSON.stringify(await file.load()));`);
  assert.equal(
    out,
    'ENOSPC {"kind":"value","value":{"small":true}} x.json\n' +
      '{"kind":"value","value":{"small":"again"}}\n',
  );
});

test('a read-only disk rejects with EROFS and is read all the same', () => {
  const out = onSmallDisk(`
    await file.save(1);
    sh('mount -o remount,ro ' + at);
    const error = await file.save(2).catch((e) => e);
    console.log(error.code, JSON.stringify(await file.load()));
    sh('mount -o remount,rw ' + at);
    await file.save(3);
    console.log(JSON.stringify(await file.load()));`);
  assert.equal(out, 'EROFS {"kind":"value","value":1}\n{"kind":"value","value":3}\n');
});

test('where the directory can not be synced, it is known before anything is replaced', () => {
  const out = onSmallDisk(
    `
    await file.save('before');
    sh('chmod 0300 ' + at);
    const error = await file.save('after').catch((e) => e);
    sh('chmod 0700 ' + at);
    console.log(error.code, JSON.stringify(await file.load()), sh('ls ' + at).toString().trim());`,
    'setpriv --bounding-set=-dac_override,-dac_read_search',
  );
  assert.equal(out, 'EACCES {"kind":"value","value":"before"} x.json\n');
});

test('a corrupt file on a read-only disk is told, though it can not be moved', () => {
  const out = onSmallDisk(`
    sh('echo rubbish > ' + at + '/x.json');
    sh('mount -o remount,ro ' + at);
    const { kind, corrupt } = await file.load();
    console.log(kind, corrupt.keptAs);`);
  assert.equal(out, 'corrupt null\n');
});

test('a chunk that does not fit is not there at all; with room it comes, and what was there stays', () => {
  const out = onSmallDisk(`
    const [small, large] = [Buffer.alloc(4_000, 's'), Buffer.alloc(100_000, 'l')];
    const ref = (bytes) => ({ sha256: hash(bytes), count: 1, chunks: [{ sha256: hash(bytes), bytes: bytes.length }] });
    blobs.know([ref(small), ref(large)]);
    await blobs.write(hash(small), small);
    const error = await blobs.write(hash(large), large).catch((e) => e);
    console.log(error.code, blobs.isWhole(hash(small)), blobs.isWhole(hash(large)));
    console.log(sh('ls ' + at + '/chunks').toString().trim() === hash(small));
    console.log((await blobs.read(hash(small))).equals(small));
    sh('mount -o remount,size=256k ' + at);
    await blobs.write(hash(large), large);
    console.log(blobs.isWhole(hash(large)));
    sh('mount -o remount,ro ' + at);
    const other = Buffer.from('other');
    console.log((await blobs.write(hash(other), other).catch((e) => e)).code);
    console.log((await blobs.read(hash(large))).equals(large));`);
  assert.equal(out, 'ENOSPC true false\ntrue\ntrue\ntrue\nEROFS\ntrue\n');
});
