import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDuration, parseDuration } from './duration';

test('durations are read in milliseconds', () => {
  const table: [string, number | null][] = [
    ['250ms', 250],
    ['0s', 0],
    ['1s', 1_000],
    ['10m', 600_000],
    ['1h30m', 5_400_000],
    ['1d', 86_400_000],
    ['10', null],
    ['', null],
    ['m', null],
    ['1.5s', null],
    ['-1s', null],
    ['1s ', null],
    ['1 s', null],
    ['1S', null],
  ];
  for (const [text, expected] of table) assert.equal(parseDuration(text), expected, text);
});

test('what is printed is read back', () => {
  assert.equal(formatDuration(600_000), '10m');
  assert.equal(formatDuration(90_061_001), '1d1h1m1s1ms');
  fc.assert(
    fc.property(fc.nat(1e12), (ms) => {
      assert.equal(parseDuration(formatDuration(ms)), ms);
    }),
  );
});
