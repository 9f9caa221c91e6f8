import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { probeAnswered, probeAsked, probeBegins, probeTrouble, type ProbeState } from './probe';

const HEALTH = { intervalMs: 1_000, failures: 3, successes: 2 };

/** `+` and `-` are results; gives the verdict after each: `h`, `i` (ill), `?`. */
function verdicts(results: string, before: boolean | null): string {
  let state: ProbeState = probeBegins(0, HEALTH, 0, before);
  let nowMs = 0;
  return results
    .split('')
    .map((sign) => {
      nowMs += 1_000;
      const why = sign === '+' ? null : 'no answer';
      state = probeAnswered(state, HEALTH, { why, tookMs: 1 }, nowMs, nowMs);
      return state.healthy === null ? '?' : state.healthy ? 'h' : 'i';
    })
    .join('');
}

const TABLE: [string, boolean | null, string][] = [
  // A new one needs all its successes.
  ['++', null, '?h'],
  ['+-+-++', null, '?????h'],
  // Ill after three in a row, well after two in a row.
  ['++--+---', null, '?hhhhhhi'],
  ['++---+-++', null, '?hhhiiiih'],
  // After a restart one success confirms what was; failures have to be counted anew.
  ['+', true, 'h'],
  ['--+', true, '??h'],
  ['---', true, '??i'],
  ['+', false, '?'],
  ['++', false, '?h'],
];

for (const [results, before, expected] of TABLE) {
  test(`${results} after ${before}: ${expected}`, () =>
    assert.equal(verdicts(results, before), expected));
}

test('the verdict changes only with as many results in a row as are asked for', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('+', '-'), maxLength: 40 }), (results) => {
      const told = verdicts(results, null);
      for (let at = 1; at < told.length; at += 1) {
        if (told[at] === told[at - 1] || told[at - 1] === '?') continue;
        const needed = told[at] === 'h' ? HEALTH.successes : HEALTH.failures;
        const row = results.slice(at + 1 - needed, at + 1);
        assert.equal(row, (told[at] === 'h' ? '+' : '-').repeat(needed));
      }
    }),
  );
});

test('it is due by its interval, at once when the answer took longer, and not while it is asked', () => {
  const begun = probeBegins(10, HEALTH, 0.5, true);
  assert.equal(begun.dueMs, 510);
  assert.equal(probeBegins(10, HEALTH, 0.5, null).dueMs, 10);
  assert.equal(probeAsked(begun).dueMs, Infinity);
  const ok = { why: null, tookMs: 3 };
  assert.equal(probeAnswered(begun, HEALTH, ok, 510, 513).dueMs, 1_510);
  assert.equal(probeAnswered(begun, HEALTH, ok, 510, 2_000).dueMs, 2_000);
});

test('trouble is told with how often', () => {
  const begun = probeBegins(0, HEALTH, 0, null);
  assert.equal(probeTrouble(begun), null);
  const one = probeAnswered(begun, HEALTH, { why: 'refused', tookMs: 1 }, 0, 1);
  assert.equal(probeTrouble(one), 'refused');
  const two = probeAnswered(one, HEALTH, { why: 'refused', tookMs: 1 }, 0, 1);
  assert.equal(probeTrouble(two), 'refused (2 times in a row)');
});
