/** How often repairs may be tried: a sliding window over attempts, kept as plain data on disk. */

/** One repair that was begun. `findings`: the keys (`findingKey`) it was to mend. */
export interface Attempt {
  atMs: number;
  findings: string[];
}

/**
 * Attempts of the last `perMs` milliseconds. What lies after `nowMs` was noted by a clock that was ahead, and
 * must not lock the budget for as long as it was.
 */
export const within = (attempts: readonly Attempt[], perMs: number, nowMs: number): Attempt[] =>
  attempts.filter(({ atMs }) => atMs > nowMs - perMs && atMs <= nowMs);

/** Attempts that count now, and when the oldest of them stops counting. */
export const usage = (
  attempts: readonly Attempt[],
  perMs: number,
  nowMs: number,
): { used: number; freesAtMs: number | null } => {
  const counting = within(attempts, perMs, nowMs).map(({ atMs }) => atMs);
  return {
    used: counting.length,
    freesAtMs: counting.length === 0 ? null : Math.min(...counting) + perMs,
  };
};

/**
 * Of the findings that are there now, the one that was repaired most often within the window:
 * `times` repairs did not last. Null where none of them was ever repaired.
 */
export const recurring = (
  attempts: readonly Attempt[],
  present: readonly string[],
  perMs: number,
  nowMs: number,
): { finding: string; times: number } | null => {
  const counted = within(attempts, perMs, nowMs);
  let most: { finding: string; times: number } | null = null;
  for (const finding of present) {
    const times = counted.filter(({ findings }) => findings.includes(finding)).length;
    if (times > (most?.times ?? 0)) most = { finding, times };
  }
  return most;
};
