/**
 * Route flap damping (RFC 2439 §4, with the lesson of RFC 7196: count causes, not the updates that one
 * cause makes). A penalty rises with each cause and decays by half in each half-life; at `suppressAt` its
 * owner is suppressed, at `reuseAt` released. The ceiling bounds how long that can take after the last
 * cause: reuseAt × 2^maxHalfLives falls to reuseAt in maxHalfLives half-lives (RFC 2439 §4.2).
 */

export interface DampingFigures {
  halfLifeMs: number;
  suppressAt: number;
  reuseAt: number;
  maxHalfLives: number;
}

/** Of facts: 1000 for a session lost; three within a half-life suppress. Half-lives of 60 … 300 s make sense. */
export const DAMPING: DampingFigures = {
  halfLifeMs: 120_000,
  suppressAt: 3_000,
  reuseAt: 750,
  maxHalfLives: 4,
};

export interface Penalty {
  value: number;
  /** When it was that value. */
  atMs: number;
  suppressedSinceMs: number | null;
}

export const NO_PENALTY: Penalty = { value: 0, atMs: 0, suppressedSinceMs: null };

export const ceilingOf = ({ reuseAt, maxHalfLives }: DampingFigures): number =>
  reuseAt * 2 ** maxHalfLives;

/** Longest time between the last cause and the release. */
export const maxSuppressMs = ({ halfLifeMs, maxHalfLives }: DampingFigures): number =>
  halfLifeMs * maxHalfLives;

/** A clock that went backwards decays nothing. */
export const valueAt = ({ value, atMs }: Penalty, nowMs: number, figures: DampingFigures): number =>
  value * 2 ** (-Math.max(0, nowMs - atMs) / figures.halfLifeMs);

/** When it is suppressed and nothing more comes: the time of its release, whole ms. */
export function reuseAtMs(penalty: Penalty, figures: DampingFigures): number | null {
  if (penalty.suppressedSinceMs === null) return null;
  const halfLives = Math.max(0, Math.log2(penalty.value / figures.reuseAt));
  return penalty.atMs + Math.ceil(halfLives * figures.halfLifeMs);
}

/**
 * The penalty at `nowMs`, after a cause of that weight (0: none, time alone has passed). Whole numbers,
 * so that histories of different machines agree; rounded down, so that a release is never late.
 */
export function step(
  penalty: Penalty,
  weight: number,
  nowMs: number,
  figures: DampingFigures,
): Penalty {
  const decayed = valueAt(penalty, nowMs, figures);
  const value = Math.floor(Math.min(decayed + weight, ceilingOf(figures)));
  const atMs = Math.max(nowMs, penalty.atMs);
  const was = penalty.suppressedSinceMs;
  const since = value >= figures.suppressAt ? nowMs : null;
  const suppressedSinceMs = was !== null && value > figures.reuseAt ? was : since;
  return { value, atMs, suppressedSinceMs };
}
