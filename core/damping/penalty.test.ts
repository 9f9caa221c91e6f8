import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DAMPING,
  type DampingFigures,
  NO_PENALTY,
  type Penalty,
  ceilingOf,
  maxSuppressMs,
  reuseAtMs,
  step,
  valueAt,
} from './penalty';

const HALF_LIFE = DAMPING.halfLifeMs;

const after = (times: number[], figures: DampingFigures = DAMPING): Penalty =>
  times.reduce((penalty, atMs) => step(penalty, 1_000, atMs, figures), NO_PENALTY);

test('figures: half in a half-life, and the ceiling is what decays in the longest suppression', () => {
  const penalty = after([1]);
  const rows: [number, number][] = [
    [0, 1_000],
    [HALF_LIFE, 500],
    [2 * HALF_LIFE, 250],
    [HALF_LIFE / 2, 1_000 / Math.SQRT2],
  ];
  for (const [ms, value] of rows) {
    assert.ok(Math.abs(valueAt(penalty, 1 + ms, DAMPING) - value) < 1e-6, `after ${ms} ms`);
  }
  assert.equal(ceilingOf(DAMPING), 12_000);
  assert.equal(maxSuppressMs(DAMPING), 480_000);
});

test('three losses at once suppress; two do not; three within three half-lives do not', () => {
  assert.equal(after([0, 1]).suppressedSinceMs, null);
  assert.equal(after([0, 0, 0]).suppressedSinceMs, 0);
  assert.equal(after([0, HALF_LIFE, 2 * HALF_LIFE]).suppressedSinceMs, null);
});

test('between suppress and reuse it stays what it was: suppressed or not', () => {
  const rising = after([0, 0]);
  assert.equal(rising.suppressedSinceMs, null);
  const falling = step(after([0, 0, 0]), 0, HALF_LIFE, DAMPING);
  assert.equal(falling.value, 1_500);
  assert.equal(falling.suppressedSinceMs, 0);
  assert.equal(step(falling, 0, 2 * HALF_LIFE, DAMPING).suppressedSinceMs, null);
});

test('it is released at the time that was told, and not a millisecond before', () => {
  for (const losses of [3, 4, 7, 12, 40]) {
    const penalty = after(new Array<number>(losses).fill(7));
    const reuse = reuseAtMs(penalty, DAMPING) ?? assert.fail('it is suppressed');
    assert.equal(step(penalty, 0, reuse, DAMPING).suppressedSinceMs, null, `${losses} losses`);
    // Values are whole numbers, so the release may be told up to one of them early.
    const early = reuse - HALF_LIFE / 100;
    assert.notEqual(step(penalty, 0, early, DAMPING).suppressedSinceMs, null, `${losses} losses`);
  }
});

test('a clock that goes backwards neither decays nor forgives', () => {
  const penalty = after([1_000_000, 1_000_000, 1_000_000]);
  const back = step(penalty, 0, 5, DAMPING);
  assert.equal(back.value, 3_000);
  assert.equal(back.atMs, 1_000_000);
  assert.notEqual(back.suppressedSinceMs, null);
});

/** xorshift32: the same stories in every run. */
function* numbers(seed: number): Generator<number, never> {
  for (let x = seed; ;) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    yield (x >>> 0) / 2 ** 32;
  }
}

test('whatever happens: bounded, decaying, monotone in causes, released in time', () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const dice = numbers(seed);
    const figures = { ...DAMPING, halfLifeMs: 60_000 + Math.floor(dice.next().value * 240_000) };
    let [less, more] = [NO_PENALTY, NO_PENALTY];
    let nowMs = 1_000_000;
    for (let n = 0; n < 60; n += 1) {
      nowMs += Math.floor(dice.next().value * figures.halfLifeMs);
      const weight = Math.floor(dice.next().value * 1_500);
      const before = less;
      less = step(less, weight, nowMs, figures);
      more = step(more, weight + 100, nowMs, figures);
      assert.ok(less.value <= ceilingOf(figures));
      assert.ok(less.value >= Math.floor(weight));
      assert.ok(step(before, 0, nowMs, figures).value <= before.value, 'time alone only decays');
      assert.ok(more.value >= less.value, 'more causes, no less penalty');
      assert.equal(less.value >= figures.suppressAt && less.suppressedSinceMs === null, false);
      const reuse = reuseAtMs(less, figures) ?? nowMs;
      assert.ok(
        reuse - nowMs <= maxSuppressMs(figures),
        'never suppressed longer than the maximum',
      );
    }
    const quiet = step(more, 0, nowMs + maxSuppressMs(figures), figures);
    assert.equal(quiet.suppressedSinceMs, null, 'and it ends with the causes');
  }
});

test('looking in between changes next to nothing', () => {
  const penalty = after([0, 1, 2, 3]);
  const once = step(penalty, 0, HALF_LIFE, DAMPING);
  let often = penalty;
  for (let n = 1; n <= 10; n += 1) often = step(often, 0, (n * HALF_LIFE) / 10, DAMPING);
  assert.ok(Math.abs(once.value - often.value) <= 10, 'at most one for each look');
});
