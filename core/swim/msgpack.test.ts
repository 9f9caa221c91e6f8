import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../model/hash';
import { crc32 } from './crc32';
import { Reader } from './msgpack';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));

test('msgpack of either age is read', () => {
  const value = (of: string): unknown => new Reader(bytes(of)).value();
  assert.equal(value('d3ffffffffffffffff'), -1);
  assert.equal(value('cf001fffffffffffff'), Number.MAX_SAFE_INTEGER);
  assert.equal(value('d0ff'), -1);
  assert.equal(value('d18000'), -32_768);
  assert.equal(value('d2ffffffff'), -1);
  assert.equal(value('e0'), -32);
  for (const raw of ['a16b', 'd9016b', 'da00016b', 'db000000016b', 'c4016b', 'c500016b']) {
    assert.equal(Buffer.from(value(raw) as Uint8Array).toString('hex'), '6b', raw);
  }
  assert.deepEqual(value('dc0002c2c0'), [false, null]);
});

test('the checksum is that of IEEE 802.3', () => {
  assert.equal(crc32(utf8('123456789')), 0xcbf43926);
  assert.equal(crc32(new Uint8Array(0)), 0);
});
