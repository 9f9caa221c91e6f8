/** How long an edge waits before it dials, looks around, or follows one more redirect. */
import {
  FIRST_RETRY_MS,
  HOP_BACK_MS,
  HOPS_AT_ONCE,
  LEAST_SPREAD_MS,
  LOOK_AROUND_MS,
  LOOK_MOST_MS,
  MAX_RETRY_MS,
  MAX_SLOW_RETRY_MS,
  MOST_SPREAD_MS,
  PATIENCE_MS,
  type StreamsState,
} from './streams-types';

/**
 * Full jitter on a doubling ceiling: edges that failed together must not come back together. `slowFailures`: those of
 * the `failures` in a row that cost somebody time.
 */
export function retryDelayMs(
  {
    failures,
    slowFailures,
    spreadMs,
  }: Pick<StreamsState, 'failures' | 'slowFailures' | 'spreadMs'>,
  random: () => number,
): number {
  const least = Math.min(MOST_SPREAD_MS, Math.max(LEAST_SPREAD_MS, spreadMs ?? FIRST_RETRY_MS));
  const doubled = (count: number): number =>
    count === 0 ? 0 : FIRST_RETRY_MS * 2 ** Math.min(count, 10);
  const ceiling = Math.max(
    least,
    Math.min(MAX_RETRY_MS, doubled(failures)),
    Math.min(MAX_SLOW_RETRY_MS, doubled(slowFailures)),
  );
  return Math.round(random() * ceiling);
}

/** Redirects followed of late, as of now. */
export const hopsNow = ({ hops, hopsAtMs }: StreamsState, nowMs: number): number =>
  Math.max(0, hops - (nowMs - hopsAtMs) / HOP_BACK_MS);

/** When one more redirect may be followed. */
export function hopAtMs(state: StreamsState, nowMs: number): number {
  const above = hopsNow(state, nowMs) - (HOPS_AT_ONCE - 1);
  return above <= 0 ? nowMs : nowMs + Math.ceil(above * HOP_BACK_MS);
}

/** The least time between looks around; the most is twice as long. Without an owner, and beside one that is lost. */
export function lookEveryMs({ primary, looks }: StreamsState): number {
  if (primary === null) return Math.min(LOOK_MOST_MS, PATIENCE_MS * 2 ** Math.min(looks, 10));
  return looks === 0 ? PATIENCE_MS : LOOK_AROUND_MS * 2 ** Math.min(looks, 4);
}
