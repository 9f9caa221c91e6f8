/**
 * Latency histograms as the kernel keeps them (bpf/include/latency.h): log-linear, 40 octaves of 32
 * equal steps, as in HdrHistogram. Values are whole nanoseconds below 2^44 (4.8 h); two values of one
 * bucket differ by at most 1/32 of the lesser, and below 64 ns not at all.
 */

const STEP_BITS = 5;
const STEPS = 1 << STEP_BITS;
const OCTAVES = 40;
export const BUCKETS = OCTAVES * STEPS;

/** struct latency_histogram: sum, refused, buckets. */
const HEAD_WORDS = 2;
export const HISTOGRAM_BYTES = 8 * (HEAD_WORDS + BUCKETS);

export interface Histogram {
  /** By bucket; `BUCKETS` of them. */
  readonly counts: Float64Array;
  readonly sumNs: number;
  /** Intervals that ended before they began, since a clock was set; in no bucket. */
  readonly refused: number;
}

/** `[fromNs, toNs)`; the last bucket holds what is longer, too. */
export interface Bounds {
  fromNs: number;
  toNs: number;
}

/** The bucket of a whole number of ns. */
export function bucketOf(ns: number): number {
  if (ns < STEPS) return ns;
  const octave = Math.floor(Math.log2(ns)) - STEP_BITS;
  // Math.log2 rounds up just below a power of two.
  const exact = 2 ** (octave + STEP_BITS) > ns ? octave - 1 : octave;
  if (exact >= OCTAVES - 1) return BUCKETS - 1;
  return exact * STEPS + Math.floor(ns / 2 ** exact);
}

export function boundsOf(bucket: number): Bounds {
  if (bucket < STEPS) return { fromNs: bucket, toNs: bucket + 1 };
  const width = 2 ** (Math.floor(bucket / STEPS) - 1);
  const fromNs = ((bucket % STEPS) + STEPS) * width;
  return { fromNs, toNs: fromNs + width };
}

/**
 * The sum over the CPUs. `values`: struct latency_histogram of each, back to back, little-endian, as a
 * look-up in a per-CPU map gives them; at an offset that is a multiple of 4.
 */
export function sumOverCpus(values: Uint8Array): Histogram {
  if (values.length % HISTOGRAM_BYTES !== 0) {
    throw new RangeError(`${values.length} bytes are no whole number of histograms`);
  }
  const halves = new Uint32Array(values.buffer, values.byteOffset, values.length / 4);
  const sums = new Float64Array(HEAD_WORDS + BUCKETS);
  for (let at = 0; at < halves.length;) {
    for (let word = 0; word < sums.length; word++, at += 2) {
      const value = (halves[at] ?? 0) + (halves[at + 1] ?? 0) * 2 ** 32;
      if (value !== 0) sums[word] = (sums[word] ?? 0) + value;
    }
  }
  const [sumNs = 0, refused = 0] = sums;
  return { counts: sums.subarray(HEAD_WORDS), sumNs, refused };
}

export const countOf = ({ counts }: Histogram): number =>
  counts.reduce((sum, count) => sum + count, 0);

/**
 * The `q`-quantile (nearest rank): the bucket that holds it, and its middle, which is off by at most
 * half a bucket: 1/64. Null where nothing was counted.
 */
export function quantile(histogram: Histogram, q: number): (Bounds & { ns: number }) | null {
  const total = countOf(histogram);
  const rank = Math.max(1, Math.ceil(q * total));
  let below = 0;
  for (const [bucket, count] of histogram.counts.entries()) {
    below += count;
    if (count === 0 || below < rank) continue;
    const bounds = boundsOf(bucket);
    return { ...bounds, ns: (bounds.fromNs + bounds.toNs - 1) / 2 };
  }
  return null;
}
