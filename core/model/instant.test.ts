import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatBytes, parseBytes } from './bytes';
import { formatInstant, parseInstant } from './instant';

/** Known pairs; the second column is what `date -u -d TEXT +%s` prints. */
const PAIRS: [string, number][] = [
  ['1970-01-01T00:00:00Z', 0],
  ['2000-02-29T12:00:00Z', 951_825_600_000],
  ['2026-12-01T00:00:00Z', 1_796_083_200_000],
  ['2100-03-01T00:00:00.250Z', 4_107_542_400_250],
  ['9999-12-31T23:59:59Z', 253_402_300_799_000],
];

test('instants are read and written', () => {
  for (const [text, ms] of PAIRS) {
    assert.equal(parseInstant(text), ms, text);
    assert.equal(formatInstant(ms), text);
  }
  assert.equal(parseInstant('2026-12-01T01:30+01:30'), PAIRS[2]?.[1]);
  assert.equal(parseInstant('2026-11-30T22:00:00-02:00'), PAIRS[2]?.[1]);
});

test('whatever is written is read back', () => {
  const ms = fc.integer({ min: 0, max: 253_402_300_799_999 });
  fc.assert(fc.property(ms, (a) => assert.equal(parseInstant(formatInstant(a)), a)));
});

test('what is no instant is refused', () => {
  const wrong = [
    '2026-12-01',
    '2026-12-01T00:00:00',
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-12-00T00:00:00Z',
    '2026-12-01T24:00:00Z',
    '2026-12-01T00:60:00Z',
    '1969-12-31T23:59:59Z',
    'tomorrow',
  ];
  for (const text of wrong) assert.equal(parseInstant(text), null, text);
});

test('sizes are read and written', () => {
  const pairs: [string, number][] = [
    ['1B', 1],
    ['1536KiB', 1_572_864],
    ['64MiB', 67_108_864],
    ['1GiB', 1_073_741_824],
  ];
  for (const [text, bytes] of pairs) {
    assert.equal(parseBytes(text), bytes);
    assert.equal(formatBytes(bytes), text);
  }
  for (const text of ['64MB', '64', 'MiB', '1.5MiB', '']) assert.equal(parseBytes(text), null);
});
