import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../model/hash';
import { SHARD_COUNT } from '../model/ids';
import { murmur3 } from './murmur3';
import { shardOf } from './shard';

/** Published vectors: input, seed, hash. */
const VECTORS: [string, number, number][] = [
  ['', 0, 0],
  ['', 1, 0x514e28b7],
  ['', 0xffffffff, 0x81f16f39],
  ['test', 0, 0xba6bd213],
  ['test', 0x9747b28c, 0x704b81dc],
  ['Hello, world!', 0, 0xc0363e43],
  ['Hello, world!', 0x9747b28c, 0x24884cba],
  ['aaaa', 0x9747b28c, 0x5a97808a],
  ['aaa', 0x9747b28c, 0x283e0130],
  ['aa', 0x9747b28c, 0x5d211726],
  ['a', 0x9747b28c, 0x7fa09ea6],
  ['ππππππππ', 0x9747b28c, 0xd58063c1],
];

test('murmur3 gives the published vectors', () => {
  for (const [text, seed, expected] of VECTORS) {
    assert.equal(murmur3(utf8(text), seed), expected, `${text} seed ${seed}`);
  }
});

test('bytes above 127 in the tail count unsigned', () => {
  assert.equal(murmur3(Uint8Array.of(0xff, 0xff, 0xff, 0xff)), 0x76293b50);
  assert.equal(murmur3(Uint8Array.of(0x21, 0x43, 0x65, 0x87)), 0xf55b516b);
});

test('the shard of a node never changes: queues and ownership keys are built on it', () => {
  assert.deepEqual(['fra-1', 'fra-2', 'nyc-1'].map(shardOf), [64, 207, 200]);
});

test('a name hashes as its bytes do, of any length and of any letters', () => {
  for (const text of [
    '',
    'a',
    'ab',
    'abc',
    'abcd',
    'abcde',
    'fra-1',
    'x'.repeat(63),
    'köln-1',
    'π',
    '日本',
  ]) {
    assert.equal(shardOf(text), murmur3(utf8(text)) % SHARD_COUNT, text);
  }
});

test('thousands of nodes spread over all shards', () => {
  const nodes = Array.from({ length: 8192 }, (_, i) => `edge-${i}`);
  const loads = new Array<number>(SHARD_COUNT).fill(0);
  for (const node of nodes) loads[shardOf(node)]! += 1;
  assert.ok(Math.min(...loads) > 0);
  assert.ok(Math.max(...loads) < 4 * (nodes.length / SHARD_COUNT));
});
