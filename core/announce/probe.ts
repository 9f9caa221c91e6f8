/**
 * Health of one address as a value: results in, verdict and next due time out. Rise and fall are
 * counted in rows, so that one lost packet moves no traffic.
 */
import type { HealthSpec } from '../model/anycast';

export interface ProbeState {
  /** Null: not known since this process began. */
  healthy: boolean | null;
  /** As it was before this process: one success confirms it. */
  before: boolean;
  /** Results of one kind in a row, the last one's. */
  run: { ok: boolean; length: number };
  /** Monotonic ms at which it is to be asked next; Infinity while it is being asked. */
  dueMs: number;
  /** Why the last one failed; null = it did not. */
  lastWhy: string | null;
  tookMs: number | null;
}

export interface ProbeResult {
  /** Why it failed, for people; null = it succeeded. */
  why: string | null;
  tookMs: number;
}

/** `jitter` 0 … 1: probes of one host shall not all begin at once. Failing ones are asked at once. */
export const probeBegins = (
  nowMs: number,
  { intervalMs }: Pick<HealthSpec, 'intervalMs'>,
  jitter: number,
  before: boolean | null,
): ProbeState => ({
  healthy: null,
  before: before === true,
  run: { ok: true, length: 0 },
  // What was healthy has time; what is new or was ill waits for nothing.
  dueMs:
    before === true ? nowMs + Math.floor(jitter * Math.min(intervalMs, START_WITHIN_MS)) : nowMs,
  lastWhy: null,
  tookMs: null,
});

/** After a restart nothing is known, so the first round is not spread over a whole interval. */
const START_WITHIN_MS = 1_000;

export const probeAsked = (state: ProbeState): ProbeState => ({ ...state, dueMs: Infinity });

/** `beganMs`: the interval runs from the question, however long the answer took. */
export function probeAnswered(
  state: ProbeState,
  { intervalMs, failures, successes }: Pick<HealthSpec, 'intervalMs' | 'failures' | 'successes'>,
  { why, tookMs }: ProbeResult,
  beganMs: number,
  nowMs: number,
): ProbeState {
  const ok = why === null;
  const length = state.run.ok === ok ? state.run.length + 1 : 1;
  const confirmed = ok && state.healthy === null && state.before;
  const needed = ok ? (confirmed ? 1 : successes) : failures;
  return {
    ...state,
    healthy: length >= needed ? ok : state.healthy,
    run: { ok, length },
    dueMs: Math.max(beganMs + intervalMs, nowMs),
    lastWhy: why,
    tookMs,
  };
}

/** For people: `no answer within 500 ms (3 times in a row)`; null where nothing failed. */
export function probeTrouble({ lastWhy, run }: ProbeState): string | null {
  if (lastWhy === null) return null;
  return run.length === 1 ? lastWhy : `${lastWhy} (${run.length} times in a row)`;
}
