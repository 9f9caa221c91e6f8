/**
 * Two tell of one BGP session: the bfd process knows whether BFD was the reason, also while no agent runs;
 * whoever keeps gobgpd knows what the peer said. Of two that tell the same, one event is made.
 */
import type { FlapCause } from '../model/routing';
import type { UnnumberedEvent } from './events';

export type Side = 'bfd' | 'bgp';
export type SessionEvent = Extract<UnnumberedEvent, { kind: 'bgpDown' | 'bgpUp' }>;

export interface Twins {
  /** Heard of one side, waiting for the other's. */
  waiting: { side: Side; event: SessionEvent; untilMs: number }[];
  /** Told alone; what the other side says of it yet is dropped. */
  told: { side: Side; event: SessionEvent; untilMs: number }[];
}

export const NO_TWINS: Twins = { waiting: [], told: [] };

/** Whoever keeps gobgpd waits 300 ms for a reason itself. */
export const TWIN_WAIT_MS = 700;
const LATE_MS = 5_000;

export interface Paired {
  twins: Twins;
  events: SessionEvent[];
}

export function heard(
  { waiting, told }: Twins,
  side: Side,
  event: SessionEvent,
  nowMs: number,
): Paired {
  const isTwin = (other: { side: Side; event: SessionEvent }): boolean =>
    other.side !== side && other.event.peer === event.peer && other.event.kind === event.kind;
  const late = told.find(isTwin);
  if (late !== undefined) {
    return { twins: { waiting, told: told.filter((other) => other !== late) }, events: [] };
  }
  const twin = waiting.find(isTwin);
  if (twin !== undefined) {
    const left = waiting.filter((other) => other !== twin);
    const merged = side === 'bfd' ? mergedOf(event, twin.event) : mergedOf(twin.event, event);
    return { twins: { waiting: left, told }, events: [merged] };
  }
  // What went before on the same session is told first.
  const before = waiting.filter((other) => other.event.peer === event.peer);
  const rest = waiting.filter((other) => other.event.peer !== event.peer);
  return {
    twins: {
      waiting: [...rest, { side, event, untilMs: nowMs + TWIN_WAIT_MS }],
      told: [...told, ...before.map((each) => ({ ...each, untilMs: nowMs + LATE_MS }))],
    },
    events: before.map((each) => each.event),
  };
}

/** Those whose twin did not come. */
export function overdue({ waiting, told }: Twins, nowMs: number): Paired {
  const due = waiting.filter(({ untilMs }) => untilMs <= nowMs);
  const live = told.filter(({ untilMs }) => untilMs > nowMs);
  return {
    twins: {
      waiting: waiting.filter(({ untilMs }) => untilMs > nowMs),
      told: [...live, ...due.map((each) => ({ ...each, untilMs: nowMs + LATE_MS }))],
    },
    events: due.map(({ event }) => event),
  };
}

function mergedOf(byBfd: SessionEvent, byBgp: SessionEvent): SessionEvent {
  if (byBfd.kind !== 'bgpDown' || byBgp.kind !== 'bgpDown') return byBfd;
  const cause: FlapCause = byBfd.cause === 'consequence' ? 'consequence' : byBgp.cause;
  return { ...byBfd, reason: byBgp.reason || byBfd.reason, cause };
}
