import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { boundsOf, bucketOf, BUCKETS, countOf, type Histogram } from './histogram';
import { cumulate, thinBounds } from './thin';

const WINDOW = { fromNs: 1024, toNs: 65_536 };
const BOUNDS = thinBounds(WINDOW);

const histograms = fc
  .array(fc.tuple(fc.nat({ max: BUCKETS - 1 }), fc.nat({ max: 1000 })), { maxLength: 60 })
  .map((filled): Histogram => {
    const counts = new Float64Array(BUCKETS);
    for (const [bucket, count] of filled) counts[bucket] = count;
    return { counts, sumNs: 1, refused: 0 };
  });

it('every bound is the end of a bucket, and they rise', () => {
  for (const [i, bound] of BOUNDS.entries()) {
    assert.equal(boundsOf(bucketOf(bound - 1)).toNs, bound);
    assert.ok(bound > (BOUNDS[i - 1] ?? 0));
  }
});

it('inside the window they are all there, outside one an octave', () => {
  const inside = BOUNDS.filter((bound) => bound > WINDOW.fromNs && bound <= WINDOW.toNs);
  assert.equal(inside.length, 6 * 32);
  const outside = BOUNDS.filter((bound) => bound <= WINDOW.fromNs || bound > WINDOW.toNs);
  assert.ok(outside.every((bound) => Number.isInteger(Math.log2(bound))));
  assert.equal(outside.length, 24);
  for (const [i, bound] of BOUNDS.entries()) {
    const before = BOUNDS[i - 1];
    if (before !== undefined && before >= WINDOW.fromNs && bound <= WINDOW.toNs) {
      assert.ok(bound / before <= 1 + 1 / 32);
    }
  }
});

it('what is told counts each bucket below its bound, and loses none', () => {
  fc.assert(
    fc.property(histograms, (histogram) => {
      const { below, count, boundsNs } = cumulate(histogram, BOUNDS);
      assert.equal(count, countOf(histogram));
      for (const [i, bound] of boundsNs.entries()) {
        const truth = histogram.counts.reduce(
          (sum, n, bucket) => (boundsOf(bucket).toNs <= bound ? sum + n : sum),
          0,
        );
        assert.equal(below[i], truth);
      }
    }),
    { numRuns: 10 },
  );
});
