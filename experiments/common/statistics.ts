/** What is said of samples: median and spread, never a mean. */

export interface Summary {
  count: number;
  min: number;
  median: number;
  p99: number;
  max: number;
}

/** By linear interpolation between the two nearest ranks (type 7 of Hyndman and Fan, 1996). */
export function quantile(samples: readonly number[], q: number): number {
  if (samples.length === 0) throw new RangeError('There is no quantile of nothing');
  const sorted = [...samples].sort((a, b) => a - b);
  const rank = q * (sorted.length - 1);
  const below = sorted[Math.floor(rank)] ?? NaN;
  const above = sorted[Math.ceil(rank)] ?? NaN;
  return below + (above - below) * (rank - Math.floor(rank));
}

export const median = (samples: readonly number[]): number => quantile(samples, 0.5);

export const summarise = (samples: readonly number[]): Summary => ({
  count: samples.length,
  min: quantile(samples, 0),
  median: median(samples),
  p99: quantile(samples, 0.99),
  max: quantile(samples, 1),
});
