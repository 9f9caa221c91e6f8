/** One moment by both clocks of a host (decision 0161). */
export interface Now {
  /** Counts on whatever the time of day is set to, from the host's boot on: for intervals. */
  monotonicMs: number;
  /** Time of day, which may be wrong, and be set to either side at any moment: for what people and others say and read. */
  epochMs: number;
}

/** When a time of day comes by the monotonic clock, as both stand now. */
export const toMonotonic = (epochMs: number, now: Now): number =>
  now.monotonicMs + epochMs - now.epochMs;

/** A moment of the monotonic clock as time of day, as both stand now. */
export const toEpoch = (monotonicMs: number, now: Now): number =>
  now.epochMs + monotonicMs - now.monotonicMs;
