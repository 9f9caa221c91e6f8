import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as prefixes from '../model/prefix';
import {
  contains,
  difference,
  EMPTY,
  overlaps,
  prefixSet,
  prefixTexts,
  sizeOf,
  union,
} from './algebra';

/** Prefixes out of so few bits that they meet one another, at both ends of both families. */
const prefixText = fc
  .record({
    family: fc.constantFrom(4 as const, 6 as const),
    high: fc.nat(7),
    low: fc.nat(7),
    drop: fc.nat(130),
  })
  .map(({ family, high, low, drop }) => {
    const width = family === 4 ? 32 : 128;
    const bits = (BigInt(high) << BigInt(width - 3)) | BigInt(low);
    const length = drop < 4 ? width - drop : drop < 10 ? drop - 4 : Math.min(drop, width);
    return prefixes.formatPrefix(prefixes.network({ family, bits, length }));
  });
const texts = fc.array(prefixText, { maxLength: 12 });

const parse = (text: string) => prefixes.parsePrefix(text)!;
const holds = (outer: string, inner: string): boolean =>
  parse(outer).length <= parse(inner).length && prefixes.contains(parse(outer), parse(inner));
const order = (a: string, b: string): number => {
  const [x, y] = [parse(a), parse(b)];
  if (x.family !== y.family) return x.family - y.family;
  if (x.bits !== y.bits) return x.bits < y.bits ? -1 : 1;
  return x.length - y.length;
};
/** The model: what no other one holds, sorted. */
const normal = (list: string[]): string[] => {
  const distinct = [...new Set(list)];
  return distinct
    .filter((text) => !distinct.some((other) => other !== text && holds(other, text)))
    .sort(order);
};
/** The model: whether the list holds every address of the prefix, in whatever prefixes. */
const holdsAll = (list: string[], text: string): boolean => {
  if (list.some((other) => holds(other, text))) return true;
  if (!list.some((other) => holds(text, other))) return false;
  const { family, bits, length } = parse(text);
  const half = BigInt((family === 4 ? 32 : 128) - length - 1);
  return [bits, bits | (1n << half)].every((start) =>
    holdsAll(list, prefixes.formatPrefix({ family, bits: start, length: length + 1 })),
  );
};

test('a set has each prefix once, in order, and none that another one holds', () => {
  fc.assert(
    fc.property(texts, (list) => {
      assert.deepEqual(prefixTexts(prefixSet(list)), normal(list));
    }),
  );
});

test('thousands are sorted like few', () => {
  const many = fc.array(
    fc.tuple(fc.integer({ min: 0, max: 0xffffffff }), fc.integer({ min: 20, max: 32 })),
    { minLength: 3000, maxLength: 5000 },
  );
  fc.assert(
    // Of IPv6, the part that differs is in the first half of the address, or in the last.
    fc.property(many, fc.constantFrom(null, 77, 0), (list, shift) => {
      const asTexts = list.map(([address, length]) =>
        prefixes.formatPrefix(
          prefixes.network(
            shift === null
              ? { family: 4, bits: BigInt(address), length }
              : {
                  family: 6,
                  bits: (0x2001n << 112n) | (BigInt(address) << BigInt(shift)),
                  length: 128 - 32 - shift + length,
                },
          ),
        ),
      );
      const found = prefixTexts(prefixSet(asTexts));
      assert.deepEqual(found, [...found].sort(order));
      const kept = new Set(found);
      for (const text of asTexts) {
        const { family, bits, length } = parse(text);
        const around = Array.from({ length: length + 1 }, (_, shorter) =>
          prefixes.formatPrefix(prefixes.network({ family, bits, length: shorter })),
        );
        assert.equal(around.filter((other) => kept.has(other)).length, 1, text);
      }
    }),
    { numRuns: 6 },
  );
});

test('union, containment, overlaps and differences are those of the model', () => {
  fc.assert(
    fc.property(texts, texts, (a, b) => {
      const [setA, setB] = [prefixSet(a), prefixSet(b)];
      const [normalA, normalB] = [normal(a), normal(b)];
      assert.deepEqual(prefixTexts(union(setA, setB)), normal([...a, ...b]));
      assert.equal(
        contains(setA, setB),
        normalB.every((text) => normalA.some((other) => holds(other, text))),
      );
      const meeting = normalB.filter((text) =>
        normalA.some((other) => holds(other, text) || holds(text, other)),
      );
      assert.deepEqual(
        overlaps(setA, setB, 100).map(({ other }) => other),
        meeting,
      );
      for (const { prefix, other } of overlaps(setA, setB, 100))
        assert.ok(normalA.includes(prefix) && (holds(prefix, other) || holds(other, prefix)));
      assert.deepEqual(difference(setA, setB), {
        added: normalB.filter((text) => !holdsAll(normalA, text)).length,
        removed: normalA.filter((text) => !holdsAll(normalB, text)).length,
      });
    }),
    { numRuns: 500 },
  );
});

test('splitting or merging prefixes takes nothing away', () => {
  const whole = prefixSet(['10.0.0.0/8', '2001:db8::/32']);
  const split = prefixSet([
    '10.0.0.0/9',
    '10.128.0.0/10',
    '10.192.0.0/10',
    '2001:db8::/33',
    '2001:db8:8000::/33',
  ]);
  assert.deepEqual(difference(whole, split), { added: 0, removed: 0 });
  assert.deepEqual(difference(split, whole), { added: 0, removed: 0 });
  assert.deepEqual(difference(whole, prefixSet(['10.0.0.0/9'])), { added: 0, removed: 2 });
});

test('addresses, host bits and mapped addresses are taken as the prefixes that they are', () => {
  assert.deepEqual(
    prefixTexts(prefixSet(['192.0.2.7', '192.0.3.9/24', '::ffff:198.51.100.0/120', '2001:db8::1'])),
    ['192.0.2.7/32', '192.0.3.0/24', '198.51.100.0/24', '2001:db8::1/128'],
  );
  assert.deepEqual(prefixTexts(prefixSet(['0.0.0.0/0', '::/0', '255.255.255.255'])), [
    '0.0.0.0/0',
    '::/0',
  ]);
  assert.throws(() => prefixSet(['192.0.2.0/33']), TypeError);
  assert.equal(sizeOf(EMPTY), 0);
});

test('a part of the texts can be asked for', () => {
  const set = prefixSet(['192.0.2.1', '192.0.2.3', '2001:db8::1', '2001:db8::3']);
  assert.deepEqual(prefixTexts(set, 1, 2), ['192.0.2.3/32', '2001:db8::1/128']);
});
