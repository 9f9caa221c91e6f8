/**
 * Desired against observed, as two maps over the same keys:
 *
 *        desired            observed
 *      ┌─────────┬─────────┬─────────┐
 *      │ missing │ both:   │  extra  │
 *      │         │ differs?│         │
 *      └─────────┴─────────┴─────────┘
 *
 * What is extra is not to be deleted for that alone: the caller knows whose it is.
 */
export interface Delta<K, D, O> {
  missing: [K, D][];
  differing: [K, D, O][];
  extra: [K, O][];
}

export const delta = <K, D, O>(
  desired: ReadonlyMap<K, D>,
  observed: ReadonlyMap<K, O>,
  same: (desired: D, observed: O) => boolean = () => true,
): Delta<K, D, O> => {
  const result: Delta<K, D, O> = { missing: [], differing: [], extra: [] };
  for (const [key, want] of desired) {
    const have = observed.get(key);
    if (have === undefined) result.missing.push([key, want]);
    else if (!same(want, have)) result.differing.push([key, want, have]);
  }
  for (const [key, have] of observed) if (!desired.has(key)) result.extra.push([key, have]);
  return result;
};

export const byKey = <K, V>(values: Iterable<V>, key: (value: V) => K): Map<K, V> => {
  const map = new Map<K, V>();
  for (const value of values) map.set(key(value), value);
  return map;
};
