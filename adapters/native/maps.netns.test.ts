import assert from 'node:assert/strict';
import { existsSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { before, test, type TestContext } from 'node:test';
import { native, type BpfMap, type BpfObject } from './native';
import { testObject } from './test-programs';
import { uniqueName } from './test-support';

const ARRAY = 2;
const HASH = 1;
const MMAPABLE = 1 << 10;
const INNER = 1 << 12;

const u32 = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
const u64 = (...values: bigint[]): Uint8Array => new Uint8Array(BigUint64Array.from(values).buffer);
const words = (count: number): BpfMap =>
  native.BpfMap.create({
    type: ARRAY,
    name: 'words',
    keySize: 4,
    valueSize: 8,
    maxEntries: count,
    flags: MMAPABLE | INNER,
  });
const hash = (maxEntries: number, flags = 0): BpfMap =>
  native.BpfMap.create({ type: HASH, name: 'table', keySize: 4, valueSize: 8, maxEntries, flags });

before(() => native.bpfFsMount('/sys/fs/bpf'));

async function load(t: TestContext): Promise<BpfObject> {
  const object = await native.BpfObject.load(testObject(), null, null);
  t.after(() => object.close());
  return object;
}

test('a map is made as told, found by its id, and charged', () => {
  const map = words(1000);
  const again = native.BpfMap.openById(map.info.id);
  assert.deepEqual(again.info, {
    id: map.info.id,
    type: ARRAY,
    name: 'words',
    keySize: 4,
    valueSize: 8,
    maxEntries: 1000,
    flags: MMAPABLE | INNER,
  });
  assert.ok(map.memlockBytes() >= 8000 && map.memlockBytes() < 100_000, `${map.memlockBytes()}`);
  map.close();
  again.close();
  assert.throws(() => native.BpfMap.openById(0x7fffffff), { code: 'ENOENT' });
  assert.throws(() => words(0), { code: 'EINVAL', syscall: 'bpf_map_create' });
});

test('mapped memory is the map: stores are seen by system calls, and the other way round', () => {
  const map = words(3);
  const memory = map.mmap();
  assert.equal(memory.length, 24);
  assert.equal(map.mmap(), memory);
  const values = new BigUint64Array(memory.buffer);
  Atomics.store(values, 1, 0xfeed_0000_0001n);
  const value = new Uint8Array(8);
  assert.ok(map.lookup(u32(1), value));
  assert.deepEqual(value, u64(0xfeed_0000_0001n));
  map.update(u32(2), u64(7n), 0);
  assert.equal(values[2], 7n);
  map.close();
  assert.equal(memory.length, 0);
  assert.equal(values.length, 0);
  map.close();
  assert.throws(() => map.mmap(), { code: 'EBADF' });
});

test('memory that is mapped outlives the map object that nobody refers to', () => {
  const make = (): [number, Uint8Array] => {
    const map = words(2);
    return [map.info.id, map.mmap()];
  };
  const [id, memory] = make();
  const other = native.BpfMap.openById(id);
  memory[8] = 5;
  const value = new Uint8Array(8);
  other.lookup(u32(1), value);
  assert.deepEqual(value, u64(5n));
  other.close();
});

test('only an array made for it can be mapped', () => {
  const map = hash(4);
  assert.throws(() => map.mmap(), { code: 'EINVAL', syscall: 'mmap' });
  map.close();
});

test('the program reads the inner map that was put last, of whatever length', async (t) => {
  const object = await load(t);
  const program = object.program('inner_word');
  const outer = object.map('outer');
  const verdict = (): number => program.testRun(new Uint8Array(64), 1).verdict;
  assert.equal(verdict(), 0);
  for (const [length, value] of [
    [2, 41],
    [5000, 42],
  ] as const) {
    const inner = words(length);
    inner.update(u32(1), u64(BigInt(value)), 0);
    await outer.setInner(u32(0), inner);
    const id = new Uint8Array(4);
    assert.ok(outer.lookup(u32(0), id));
    assert.deepEqual(id, u32(inner.info.id));
    inner.close();
    assert.equal(verdict(), value);
  }
  await outer.setInner(u32(0), null);
  await outer.setInner(u32(0), null);
  assert.equal(verdict(), 0);
  const wrong = hash(4);
  await assert.rejects(outer.setInner(u32(0), wrong), { code: 'EINVAL' });
  await assert.rejects(outer.setInner(u32(9), words(1)), { code: 'E2BIG' });
  for (const handle of [wrong, outer, program]) handle.close();
});

test('a batch is written, its keys are listed, and a full map says how far it came', async () => {
  const map = hash(3);
  assert.equal(await map.updateBatch(u32(1, 2, 3), u64(10n, 20n, 30n), 3), 3);
  const keys = new Uint32Array(8);
  const out = new Uint8Array(keys.buffer);
  assert.equal(map.keys(null, out), 3);
  assert.deepEqual([...keys.subarray(0, 3)].sort(), [1, 2, 3]);
  assert.equal(map.keys(u32(keys[0]!), out.subarray(0, 4)), 1);
  const rest = map.updateBatch(u32(1, 4), u64(11n, 40n), 2);
  await assert.rejects(rest, { code: 'E2BIG', log: '1 of 2 are written' });
  const value = new Uint8Array(8);
  assert.ok(map.lookup(u32(1), value));
  assert.deepEqual(value, u64(11n));
  map.close();
});

test('a pinned map is the same map', () => {
  const pin = join('/sys/fs/bpf', uniqueName('map'));
  const map = hash(3);
  map.pin(pin);
  const again = native.BpfMap.open(pin);
  assert.equal(again.info.id, map.info.id);
  assert.throws(() => map.pin(pin), { code: 'EEXIST' });
  unlinkSync(pin);
  assert.ok(!existsSync(pin));
  again.close();
  map.close();
});

test('a ring hands over its records in order, a bound at a time', async (t) => {
  const object = await load(t);
  const program = object.program('to_ring');
  const ring = object.map('ring');
  const reader = native.RingReader.open(ring);
  const send = (byte: number): number => program.testRun(new Uint8Array(64).fill(byte), 1).verdict;
  const firstBytes = (drained: Buffer): number[] => {
    const found = [];
    for (let at = 0; at < drained.length; at += 16) {
      assert.equal(drained.readUInt32LE(at), 12);
      found.push(drained[at + 4]!);
    }
    return found;
  };
  assert.equal(reader.drain(1000).length, 0);
  for (const byte of [1, 2, 3, 4, 5]) assert.equal(send(byte), 2);
  assert.deepEqual(firstBytes(reader.drain(17)), [1, 2]);
  assert.deepEqual(firstBytes(reader.drain(1)), [3]);
  assert.deepEqual(firstBytes(reader.drain(1000)), [4, 5]);
  while (send(9) === 2);
  assert.ok(firstBytes(reader.drain(1e6)).length > 100);
  assert.equal(send(8), 2);
  reader.close();
  reader.close();
  assert.throws(() => reader.drain(1), { code: 'EBADF' });
  const table = hash(1);
  assert.throws(() => native.RingReader.open(table), { code: 'EINVAL' });
  for (const handle of [table, ring, program]) handle.close();
});

test('wrong arguments throw, and do nothing', async () => {
  const map = hash(4);
  const wrong: [() => unknown, unknown][] = [
    [() => native.BpfMap.create({ type: HASH } as never), TypeError],
    [() => native.BpfMap.create(7 as never), TypeError],
    [() => map.setInner(u32(0), {} as never), TypeError],
    [() => map.setInner(new Uint8Array(3), null), TypeError],
    [() => map.updateBatch(u32(1, 2), u64(1n), 2), TypeError],
    [() => map.updateBatch(u32(), u64(), 0), TypeError],
    [() => map.updateBatch(u32(1), u64(1n), -1), TypeError],
    [() => map.keys(new Uint8Array(1), new Uint8Array(4)), TypeError],
    [() => native.RingReader.open({} as never), TypeError],
    [() => new (native.RingReader as never as new () => unknown)(), TypeError],
  ];
  for (const [call, error] of wrong) assert.throws(call, error as typeof TypeError);
  map.close();
  assert.throws(() => map.setInner(u32(0), null), { code: 'EBADF' });
  assert.throws(() => map.keys(null, new Uint8Array(4)), { code: 'EBADF' });
  assert.throws(() => map.memlockBytes(), { code: 'EBADF' });
  assert.throws(() => native.RingReader.open(map), { code: 'EBADF' });
});
