/**
 * From 1280 buckets to the ones that Prometheus is told of. Inside a window every bucket of the kernel
 * is kept, so that a quantile there is off by at most 1/32; outside of it one bound an octave remains,
 * enough to see that, and which way, a quantile left the window. The bounds are fixed: series that
 * came and went with the traffic would falsify `rate`.
 */
import { boundsOf, BUCKETS, bucketOf, countOf, type Histogram } from './histogram';

/** Powers of two, in ns. */
export interface Window {
  fromNs: number;
  toNs: number;
}

/** Of histograms as they are told: bounds in ns, each the end of a bucket; how many lie below each. */
export interface Cumulative {
  boundsNs: number[];
  below: number[];
  count: number;
  sumNs: number;
}

/** Octaves told of at all: 32 ns … 17 s. */
const FIRST_OCTAVE = 5;
const LAST_OCTAVE = 34;

export function thinBounds({ fromNs, toNs }: Window): number[] {
  const bounds: number[] = [];
  for (let octave = FIRST_OCTAVE; octave <= LAST_OCTAVE; octave++) {
    const low = 2 ** octave;
    if (low <= fromNs || low > toNs) bounds.push(low);
    if (low < fromNs || low >= toNs) continue;
    for (let b = bucketOf(low); b < BUCKETS && boundsOf(b).toNs <= low * 2; b++) {
      bounds.push(boundsOf(b).toNs);
    }
  }
  return bounds;
}

/** `boundsNs` rises, and each is the end of a bucket. */
export function cumulate(histogram: Histogram, boundsNs: readonly number[]): Cumulative {
  let bucket = 0;
  let sum = 0;
  const below = boundsNs.map((bound) => {
    for (; bucket < BUCKETS && boundsOf(bucket).toNs <= bound; bucket++) {
      sum += histogram.counts[bucket] ?? 0;
    }
    return sum;
  });
  const { sumNs } = histogram;
  return { boundsNs: [...boundsNs], below, count: countOf(histogram), sumNs };
}
