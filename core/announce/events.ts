/**
 * What happened, once: numbered so that numbers rise over restarts too, and kept until a controller has
 * handed it on.
 */
import type { RoutingEvent } from '../model/routing';
import type { Stance } from '../model/anycast';
import type { Judgement } from './proof';

/** As the bfd process tells of sessions and neighbours. */
export type UnnumberedEvent = RoutingEvent extends infer E
  ? E extends RoutingEvent
    ? Omit<E, 'sequence'>
    : never
  : never;

export interface Outbox {
  /** Of the newest event, acknowledged or not. */
  lastSequence: number;
  /** Oldest first; at most OUTBOX_MAX. */
  unsent: RoutingEvent[];
  /** Events that had to go for lack of room since the last acknowledgement. */
  dropped: number;
}

export const EMPTY_OUTBOX: Outbox = { lastSequence: 0, unsent: [], dropped: 0 };

/** Without a controller: the newest are worth more than the oldest. */
export const OUTBOX_MAX = 100;

/** A memory that was lost begins above any number that it may have given out: one a ms, at most. */
export function enqueue(
  { lastSequence, unsent, dropped }: Outbox,
  events: readonly UnnumberedEvent[],
  nowMs: number,
): Outbox {
  if (events.length === 0) return { lastSequence, unsent, dropped };
  let last = lastSequence;
  const numbered = events.map((event) => {
    last = Math.max(last + 1, nowMs);
    return { ...event, sequence: last };
  });
  const all = [...unsent, ...numbered];
  const surplus = Math.max(0, all.length - OUTBOX_MAX);
  return { lastSequence: last, unsent: all.slice(surplus), dropped: dropped + surplus };
}

/** A number that was never given out acknowledges nothing. */
export function acknowledge(outbox: Outbox, sequence: number): Outbox {
  if (sequence > outbox.lastSequence) return outbox;
  const unsent = outbox.unsent.filter((event) => event.sequence > sequence);
  return unsent.length === outbox.unsent.length ? outbox : { ...outbox, unsent, dropped: 0 };
}

/** How a service stood, and since when (epoch ms). */
export interface Standing {
  stance: Stance;
  proven: boolean;
  sinceMs: number;
}

export interface Stood {
  standings: Record<string, Standing>;
  events: UnnumberedEvent[];
}

/** What has changed since; a service that nobody knew stood withdrawn, and one that is gone stands so. */
export function stanceChanges(
  before: Readonly<Record<string, Standing>>,
  judged: readonly Judgement[],
  nowMs: number,
): Stood {
  const standings: Record<string, Standing> = {};
  const events: UnnumberedEvent[] = [];
  for (const { service, stance, proven, why } of judged) {
    const { stance: from, proven: was } = before[service] ?? UNKNOWN;
    const sinceMs =
      before[service] !== undefined && from === stance ? before[service].sinceMs : nowMs;
    standings[service] = { stance, proven, sinceMs };
    if (from === stance) continue;
    const cause = was === proven ? 'administrative' : 'path';
    const told = why.join('; ') || 'proven';
    events.push({ kind: 'stance', atMs: nowMs, service, from, to: stance, why: told, cause });
  }
  for (const [service, { stance: from }] of Object.entries(before)) {
    if (service in standings || from === 'withdraw') continue;
    const why = 'not in the spec any more';
    const cause = 'administrative';
    events.push({ kind: 'stance', atMs: nowMs, service, from, to: 'withdraw', why, cause });
  }
  return { standings, events };
}

const UNKNOWN: Omit<Standing, 'sinceMs'> = { stance: 'withdraw', proven: false };
