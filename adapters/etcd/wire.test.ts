import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { prefixEnd, revisionOf } from './wire';

test('a revision is a safe integer or refused', () => {
  assert.equal(revisionOf('9007199254740991'), Number.MAX_SAFE_INTEGER);
  for (const bad of ['9007199254740992', '-1', '1.5', 'x', 'NaN']) {
    assert.throws(() => revisionOf(bad), RangeError);
  }
});

test('the end of a prefix divides the keys below it from all others', () => {
  const bytes = fc
    .array(fc.constantFrom(0, 1, 0x61, 0xfe, 0xff), { maxLength: 5 })
    .map((array) => Buffer.from(array));
  fc.assert(
    fc.property(bytes, bytes, (prefix, key) => {
      const end = prefixEnd(prefix);
      const endless = end.equals(Buffer.from([0]));
      const inRange = prefix.compare(key) <= 0 && (endless || key.compare(end) < 0);
      assert.equal(inRange, key.subarray(0, prefix.length).equals(prefix));
    }),
    { numRuns: 2000 },
  );
});
