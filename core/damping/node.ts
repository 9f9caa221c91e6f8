/**
 * All penalties of a node as one value: events in, what is suppressed until when out. A node with one
 * upstream suppressed is suppressed: what it announces there flaps for everybody behind it.
 */
import type { RoutingEvent } from '../model/routing';
import type { PenaltyView } from '../model/routing-messages';
import { type Cause, WEIGHTS, WHOLE_NODE, causeOf } from './causes';
import { type DampingFigures, NO_PENALTY, type Penalty, reuseAtMs, step } from './penalty';

export interface NodeDamping {
  upstreams: Record<string, Penalty & { causes: PenaltyView['causes'] }>;
  /** The last event that counted: one that is told again is not counted again. */
  last: { sequence: number; atMs: number } | null;
  /** When each service was last announced again after a withdrawal. */
  reannouncedMs: Record<string, number>;
  /** Services that were announced, and are withdrawn now. Absent: none. */
  withdrawn?: string[];
}

export const NO_DAMPING: NodeDamping = { upstreams: {}, last: null, reannouncedMs: {} };

/** Of each upstream; more would make each continue-as-new heavier for no reader. */
const CAUSES_KEPT = 8;
/** A peer that is configured no longer leaves its entry behind until it has decayed to this. */
const FORGOTTEN_BELOW = 10;

/**
 * After a withdrawal a service is announced again at once; a second time only so long after the first.
 * One half-life of what routers do by default (FRR: 1000 a withdrawal, 15 min, suppressed at 2000): two
 * withdrawals within it would mute the prefix there for longer than we were away.
 */
export const REANNOUNCE_AFTER_MS = 900_000;

export function penalise(
  state: NodeDamping,
  upstream: string,
  cause: Cause,
  nowMs: number,
  figures: DampingFigures,
): NodeDamping {
  const weight = WEIGHTS[cause];
  const before = state.upstreams[upstream] ?? { ...NO_PENALTY, causes: [] };
  const causes = [...before.causes, { atMs: nowMs, cause, weight }].slice(-CAUSES_KEPT);
  const after = { ...step(before, weight, nowMs, figures), causes };
  return { ...state, upstreams: { ...state.upstreams, [upstream]: after } };
}

/** A sequence that began anew (a lost state directory) is known by its later time. */
const isOld = ({ last }: NodeDamping, { sequence, atMs }: RoutingEvent): boolean =>
  last !== null && sequence <= last.sequence && atMs <= last.atMs;

export function happened(
  state: NodeDamping,
  event: RoutingEvent,
  nowMs: number,
  figures: DampingFigures,
): NodeDamping {
  if (isOld(state, event)) return state;
  const { sequence, atMs } = event;
  const next = reannounced({ ...state, last: { sequence, atMs } }, event, nowMs);
  const found = causeOf(event);
  return found === null ? next : penalise(next, found.upstream, found.cause, nowMs, figures);
}

/** The first announcement of a service, e.g. of a node that was onboarded, follows no withdrawal. */
function reannounced(state: NodeDamping, event: RoutingEvent, nowMs: number): NodeDamping {
  if (event.kind !== 'stance' || (event.from === 'withdraw') === (event.to === 'withdraw')) {
    return state;
  }
  const { service } = event;
  const others = (state.withdrawn ?? []).filter((each) => each !== service);
  if (event.to === 'withdraw') return { ...state, withdrawn: [...others, service] };
  if (state.withdrawn?.includes(service) !== true) return state;
  const young = Object.entries(state.reannouncedMs).filter(
    ([, atMs]) => nowMs - atMs < REANNOUNCE_AFTER_MS,
  );
  return {
    ...state,
    withdrawn: others,
    reannouncedMs: { ...Object.fromEntries(young), [service]: nowMs },
  };
}

/** From when on all of its services may be announced again after a withdrawal; null = now. */
export function reannounceAtMs({ reannouncedMs }: NodeDamping, nowMs: number): number | null {
  const latest = Math.max(0, ...Object.values(reannouncedMs)) + REANNOUNCE_AFTER_MS;
  return latest > nowMs && Object.keys(reannouncedMs).length > 0 ? latest : null;
}

/** Time alone has passed: what was suppressed long enough is released, what has decayed is forgotten. */
export function look(state: NodeDamping, nowMs: number, figures: DampingFigures): NodeDamping {
  const kept = Object.entries(state.upstreams)
    .map(([upstream, { causes, ...penalty }]) => {
      const after = { ...step(penalty, 0, nowMs, figures), causes };
      return [upstream, after] as const;
    })
    .filter(([, { value }]) => value >= FORGOTTEN_BELOW);
  return { ...state, upstreams: Object.fromEntries(kept) };
}

/** A person has released it: nothing is held against it any more. */
export const forgiven = (state: NodeDamping): NodeDamping => ({ ...state, upstreams: {} });

/** The latest release of all that is suppressed; null = nothing is. */
export function suppressedUntilMs(
  { upstreams }: NodeDamping,
  figures: DampingFigures,
): number | null {
  const releases = Object.values(upstreams).flatMap((each) => reuseAtMs(each, figures) ?? []);
  return releases.length === 0 ? null : Math.max(...releases);
}

/** As people see it, at the times that it was last changed. */
export const views = ({ upstreams }: NodeDamping, figures: DampingFigures): PenaltyView[] =>
  Object.entries(upstreams)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([upstream, each]) => ({
      upstream,
      penalty: each.value,
      atMs: each.atMs,
      halfLifeMs: figures.halfLifeMs,
      suppressedSinceMs: each.suppressedSinceMs,
      reuseAtMs: reuseAtMs(each, figures),
      causes: each.causes,
    }));

/** One line: what of it is suppressed, and by which causes. */
export function reasonOf({ upstreams }: NodeDamping): string {
  const parts = Object.entries(upstreams)
    .filter(([, { suppressedSinceMs }]) => suppressedSinceMs !== null)
    .map(([upstream, { value, causes }]) => {
      const who = upstream === WHOLE_NODE ? 'the node' : upstream;
      return `${who}: penalty ${value} (${causes.map(({ cause }) => cause).join(', ')})`;
    });
  return parts.join('; ');
}
