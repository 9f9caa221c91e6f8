import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { prefixSet } from './algebra';
import { pack } from './blob';
import { applyDelta, deltaOf } from './delta';

const address = fc.oneof(
  fc.ipV4().map((ip) => `${ip}/32`),
  fc.tuple(fc.nat(255), fc.nat(255)).map(([a, b]) => `${1 + (a % 200)}.${b}.0.0/16`),
  fc.tuple(fc.nat(0xffff), fc.nat(0xffff)).map(([a, b]) => {
    return `2001:db8:${a.toString(16)}:${b.toString(16)}::/64`;
  }),
);
const set = fc.uniqueArray(address, { maxLength: 60 });
const packed = (texts: readonly string[]): Uint8Array => pack(prefixSet(texts));

test('what is taken away and added makes the one of the other, whatever they hold', () => {
  fc.assert(
    fc.property(set, set, set, (common, before, after) => {
      const [from, to] = [packed([...common, ...before]), packed([...common, ...after])];
      const delta = deltaOf({ from, to });
      assert.ok(delta);
      assert.deepEqual(applyDelta(from, delta), to);
    }),
  );
});

test('it is as long as what has changed', () => {
  const base = Array.from({ length: 5_000 }, (_, i) => `10.${i >> 8}.${i & 255}.1/32`);
  const delta = deltaOf({ from: packed(base), to: packed([...base.slice(1), '192.0.2.1/32']) });
  assert.equal(delta?.length, 24 + 5 + 5);
});

test('where the whole serves better, or there is nothing to compare, there is none', () => {
  const many = Array.from({ length: 60_000 }, (_, i) => `10.${i >> 8}.${i & 255}.1/32`);
  assert.equal(deltaOf({ from: packed([]), to: packed(many) }), null);
  assert.equal(deltaOf({ from: packed([]), to: Buffer.from('no set') }), null);
});

test('bytes from anywhere never throw, and never grow beyond what they say', () => {
  const from = packed(['10.0.0.0/8', '2001:db8::/32']);
  const good = deltaOf({ from, to: packed(['10.0.0.0/8', '192.0.2.1/32']) });
  assert.ok(good);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      fc.nat(good.length),
      (changes, length) => {
        const bad = Uint8Array.from(good);
        for (const [at, byte] of changes) bad[at] = byte;
        for (const bytes of [bad, bad.subarray(0, length)]) {
          const result = applyDelta(from, bytes);
          assert.ok(result === null || result.length <= from.length + bytes.length);
        }
      },
    ),
  );
});
