import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { BlobRef } from '../../core/model/blocklist';
import { BlobStore } from './blobs';

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

interface Blob {
  ref: BlobRef;
  chunks: Map<string, Buffer>;
  whole: Buffer;
}

function blob(...texts: string[]): Blob {
  const parts = texts.map((text) => Buffer.from(text));
  const whole = Buffer.concat(parts);
  const chunks = parts.map((part) => ({ sha256: hash(part), bytes: part.length }));
  return {
    ref: { sha256: hash(whole), count: parts.length, chunks },
    chunks: new Map(parts.map((part) => [hash(part), part])),
    whole,
  };
}

function place(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'aether-blobs-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return join(path, 'chunks');
}

async function store(store: BlobStore, { chunks }: Blob): Promise<void> {
  for (const [name, data] of chunks) await store.write(name, data);
}

test('a blob is whole once all its chunks are there, also after a restart', async (t) => {
  const at = place(t);
  const { ref, chunks, whole } = blob('one', 'two', 'one');
  const first = new BlobStore(at);
  await first.load();
  first.know([ref]);
  assert.deepEqual(first.lacking([ref]), ref.chunks.slice(0, 2));
  const [one, two] = [...chunks.entries()];
  assert.ok(one && two);
  await first.write(...one);
  assert.equal(first.isWhole(ref.sha256), false);
  await first.write(...two);
  assert.equal(first.isWhole(ref.sha256), true);
  assert.deepEqual(Buffer.from(await first.read(ref.sha256)), whole);

  const second = new BlobStore(at);
  await second.load();
  assert.equal(second.isWhole(ref.sha256), false, 'nobody said what it is made of');
  second.know([ref]);
  assert.deepEqual(Buffer.from(await second.read(ref.sha256)), whole);
});

test('what is not the chunk it says to be is not written', async (t) => {
  const at = place(t);
  const blobs = new BlobStore(at);
  const name = hash(Buffer.from('right'));
  await assert.rejects(blobs.write(name, Buffer.from('wrong')), /another one/);
  await assert.rejects(blobs.write(name, Buffer.alloc(600_000)), /another one/);
  assert.throws(() => readdirSync(at), /ENOENT/);
});

test('a chunk that went bad on the disk is taken away, and lacking from then on', async (t) => {
  const at = place(t);
  const made = blob('one', 'two');
  const blobs = new BlobStore(at);
  blobs.know([made.ref]);
  await store(blobs, made);
  const [first, second] = made.ref.chunks;
  assert.ok(first && second);
  writeFileSync(join(at, first.sha256), 'oNe');
  await assert.rejects(blobs.read(made.ref.sha256), /was corrupt/);
  assert.deepEqual(blobs.lacking([made.ref]), [first]);
  assert.deepEqual(readdirSync(at), [second.sha256]);
  rmSync(join(at, second.sha256));
  await store(blobs, made);
  await assert.rejects(blobs.read(made.ref.sha256), /ENOENT/);
  assert.deepEqual(blobs.lacking([made.ref]), [second]);
  await store(blobs, made);
  assert.deepEqual(Buffer.from(await blobs.read(made.ref.sha256)), made.whole);
});

test('chunks that make another blob than the one they are named for are not handed out', async (t) => {
  const made = blob('one', 'two');
  const blobs = new BlobStore(place(t));
  blobs.know([{ ...made.ref, chunks: [...made.ref.chunks].reverse() }]);
  await store(blobs, made);
  await assert.rejects(blobs.read(made.ref.sha256), /not what its chunks make/);
});

test('what nobody needs is taken away, and half-written files with it', async (t) => {
  const at = place(t);
  const [kept, gone] = [blob('one', 'shared'), blob('shared', 'three')];
  const blobs = new BlobStore(at);
  blobs.know([kept.ref, gone.ref]);
  await store(blobs, kept);
  await store(blobs, gone);
  writeFileSync(join(at, `${hash(Buffer.from('four'))}.new`), 'fo');
  await blobs.keepOnly([kept.ref]);
  assert.deepEqual(readdirSync(at).sort(), [...kept.chunks.keys()].sort());
  assert.deepEqual(Buffer.from(await blobs.read(kept.ref.sha256)), kept.whole);
  await assert.rejects(blobs.read(gone.ref.sha256), /not known/);
});

test('the store has a bound; what was taken away makes room', async (t) => {
  const [small, large] = [blob('1234'), blob('123456')];
  const blobs = new BlobStore(place(t), 9);
  blobs.know([small.ref]);
  await store(blobs, small);
  await assert.rejects(store(blobs, large), /take more than/);
  await blobs.keepOnly([]);
  await store(blobs, large);
});
