import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { median, quantile, summarise } from './statistics';

const samples = fc.array(fc.integer({ min: -1e6, max: 1e6 }), { minLength: 1 });

it('a quantile lies between ranks, as R and NumPy have it', () => {
  assert.equal(quantile([4, 1, 3, 2], 0.5), 2.5);
  assert.equal(quantile([1, 2, 3, 4, 5], 0.25), 2);
  assert.equal(quantile([7], 0.99), 7);
  assert.throws(() => quantile([], 0.5), RangeError);
});

it('quantiles rise, and neither order nor scale of the samples matters', () => {
  fc.assert(
    fc.property(samples, (values) => {
      const { min, median: middle, p99, max, count } = summarise(values);
      assert.ok(min <= middle && middle <= p99 && p99 <= max);
      assert.equal(count, values.length);
      assert.equal(median([...values].reverse()), middle);
      assert.equal(median(values.map((value) => value * 2)), middle * 2);
    }),
  );
});
