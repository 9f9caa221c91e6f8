import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  boundsOf,
  bucketOf,
  BUCKETS,
  countOf,
  HISTOGRAM_BYTES,
  type Histogram,
  quantile,
  sumOverCpus,
} from './histogram';

const STEP = 1 / 32;
const durations = fc.oneof(
  fc.nat({ max: 4096 }),
  fc
    .tuple(fc.integer({ min: 5, max: 43 }), fc.nat({ max: 2 ** 30 }))
    .map(([octave, part]) => Math.floor(2 ** octave * (1 + part / 2 ** 30))),
);
const bucketNumbers = fc.nat({ max: BUCKETS - 1 });

const of = (values: readonly number[]): Histogram => {
  const counts = new Float64Array(BUCKETS);
  for (const ns of values) counts[bucketOf(ns)] = (counts[bucketOf(ns)] ?? 0) + 1;
  return { counts, sumNs: values.reduce((sum, ns) => sum + ns, 0), refused: 0 };
};

const EMPTY = of([]);

/** struct latency_histogram[] */
function encode(perCpu: readonly Histogram[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(perCpu.length * HISTOGRAM_BYTES));
  for (const [cpu, { counts, sumNs, refused }] of perCpu.entries()) {
    for (const [word, value] of [sumNs, refused, ...counts].entries()) {
      bytes.setBigUint64(cpu * HISTOGRAM_BYTES + word * 8, BigInt(value), true);
    }
  }
  return new Uint8Array(bytes.buffer);
}

describe('buckets', () => {
  it('follow one another without a gap', () => {
    assert.equal(boundsOf(0).fromNs, 0);
    for (let bucket = 1; bucket < BUCKETS; bucket++) {
      assert.equal(boundsOf(bucket).fromNs, boundsOf(bucket - 1).toNs);
    }
    assert.equal(boundsOf(BUCKETS - 1).toNs, 2 ** 44);
  });

  it('hold what lies in their bounds', () => {
    fc.assert(
      fc.property(bucketNumbers, (bucket) => {
        const { fromNs, toNs } = boundsOf(bucket);
        assert.equal(bucketOf(fromNs), bucket);
        assert.equal(bucketOf(toNs - 1), bucket);
      }),
      { numRuns: BUCKETS },
    );
  });

  it('are no wider than 1/32 of what they hold', () => {
    fc.assert(
      fc.property(durations, (ns) => {
        const { fromNs, toNs } = boundsOf(bucketOf(ns));
        assert.ok(fromNs <= ns && ns < toNs);
        assert.ok(toNs - 1 - fromNs <= fromNs * STEP);
      }),
    );
  });

  it('end at 2^44 ns: the last one holds what is longer', () => {
    assert.equal(bucketOf(2 ** 44 - 1), BUCKETS - 1);
    assert.equal(bucketOf(2 ** 53 - 1), BUCKETS - 1);
  });
});

describe('a histogram', () => {
  it('is the sum over its CPUs', () => {
    const samples = fc.array(durations, { maxLength: 50 });
    fc.assert(
      fc.property(fc.array(samples, { minLength: 1, maxLength: 4 }), (perCpu) => {
        assert.deepEqual(sumOverCpus(encode(perCpu.map(of))), of(perCpu.flat()));
      }),
      { numRuns: 20 },
    );
    assert.throws(() => sumOverCpus(new Uint8Array(HISTOGRAM_BYTES - 8)), RangeError);
  });

  it('keeps counts beyond 32 bits', () => {
    const large = { ...EMPTY, sumNs: 2 ** 52, refused: 2 ** 33 + 1 };
    assert.deepEqual(sumOverCpus(encode([large, large])), {
      ...EMPTY,
      sumNs: 2 ** 53,
      refused: 2 ** 34 + 2,
    });
  });

  it('tells each quantile within half a bucket of the true one', () => {
    const q = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.array(durations, { minLength: 1, maxLength: 200 }), q, (values, share) => {
        const sorted = [...values].sort((a, b) => a - b);
        const truth = sorted[Math.max(0, Math.ceil(share * values.length) - 1)] ?? NaN;
        const told = quantile(of(values), share);
        assert.ok(told && told.fromNs <= truth && truth < told.toNs);
        assert.ok(Math.abs(told.ns - truth) <= (truth * STEP) / 2 + 0.5);
      }),
    );
    assert.equal(quantile(EMPTY, 0.99), null);
    assert.equal(countOf(EMPTY), 0);
  });
});
