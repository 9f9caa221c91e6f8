/**
 * What the filters hold follows from spec, overrides by hand and time. To bring them there is no
 * repair: it waits for nobody, and only says when the spec is wholly in force.
 */
import { counts, nextExpiryMs, type Override } from '../filter/contents';
import { clean } from './looks';
import type { Turn } from './turn';
import type { Accepted, Input, Memory } from './types';

/** Overrides by hand at once: a list is made for more. */
export const OVERRIDES_MAX = 1000;

/** Why it can't be taken, as a sentence; null = it can. */
export function overrideRefusal(
  { overrides }: Pick<Memory, 'overrides'>,
  { prefix, verdict }: Pick<Extract<Input, { kind: 'override' }>, 'prefix' | 'verdict'>,
): string | null {
  const known = overrides.some((other) => other.prefix === prefix);
  if (verdict === 'none' || known || overrides.length < OVERRIDES_MAX) return null;
  return `${OVERRIDES_MAX} prefixes are overridden by hand already: use a Blocklist`;
}

export function override(turn: Turn, input: Extract<Input, { kind: 'override' }>): void {
  const { prefix, verdict, reason, untilMs } = input;
  const { state } = turn;
  const { epochMs } = turn.now;
  const others = state.memory.overrides.filter((other) => other.prefix !== prefix);
  const fresh: Override[] =
    verdict === 'none' ? [] : [{ prefix, verdict, reason, sinceMs: epochMs, untilMs }];
  turn.remember({ overrides: [...others, ...fresh] });
  state.filtersAtMs = epochMs;
}

/** A spec begins to count: until the filters are told to hold it, it is not applied. */
export function refill(turn: Turn, { spec }: Accepted): void {
  const { state } = turn;
  state.filtersAtMs = turn.now.epochMs;
  state.filtersPending = spec.filters.length === 0 ? null : 'its filters are being loaded';
}

export function filtersIfDue(turn: Turn): void {
  const { state } = turn;
  const { epochMs } = turn.now;
  const { accepted } = state;
  // By a clock that was set back, what had ended counts again.
  const isDue = epochMs >= state.filtersAtMs || epochMs < state.filledAtMs;
  if (accepted === null || !isDue) return;
  const overrides = state.memory.overrides.filter(({ untilMs }) => counts(untilMs, epochMs));
  if (overrides.length < state.memory.overrides.length) turn.remember({ overrides });
  state.filtersAtMs = nextExpiryMs(accepted.spec, overrides, epochMs);
  state.filledAtMs = epochMs;
  turn.effects.push({ kind: 'filters', accepted, overrides });
}

export function filtersTold(turn: Turn, specHash: string, pending: string | null): void {
  const { state } = turn;
  const { accepted, look } = state;
  if (accepted === null || specHash !== accepted.hash) return;
  state.filtersPending = pending;
  if (pending === null && look?.specHash === specHash && look.findings.length === 0) {
    clean(turn, accepted);
  }
}
