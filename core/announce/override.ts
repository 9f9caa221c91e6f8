/** Stances by hand, on the edge itself: they only ever lessen, need no control plane, and end by time. */
import { STANCES, type Stance } from '../model/anycast';
import { counts } from '../filter/contents';

export interface StanceOverride {
  /** Null: every service of this node. */
  service: string | null;
  stance: Exclude<Stance, 'announce'>;
  reason: string;
  sinceMs: number;
  /** Epoch ms; null = until it is taken back. */
  untilMs: number | null;
}

/** `stance` `announce` takes back what was said of exactly this service (null: of all, and of each). */
export function overridden(
  overrides: readonly StanceOverride[],
  asked: { service: string | null; stance: Stance; reason: string; untilMs: number | null },
  nowMs: number,
): StanceOverride[] {
  const { service, stance, reason, untilMs } = asked;
  if (stance === 'announce' && service === null) return [];
  const others = live(overrides, nowMs).filter((other) => other.service !== service);
  if (stance === 'announce') return others;
  return [...others, { service, stance, reason, sinceMs: nowMs, untilMs }];
}

export const live = (overrides: readonly StanceOverride[], nowMs: number): StanceOverride[] =>
  overrides.filter(({ untilMs }) => counts(untilMs, nowMs));

/** Those that concern a service, the worst first. */
export const overridesOf = (
  overrides: readonly StanceOverride[],
  service: string,
  nowMs: number,
): StanceOverride[] =>
  live(overrides, nowMs)
    .filter((override) => override.service === null || override.service === service)
    .sort((a, b) => STANCES.indexOf(b.stance) - STANCES.indexOf(a.stance));
