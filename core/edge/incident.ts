/** Life of an incident: opened by the first look that finds a difference, closed by a clean one. */
import type { EdgeSpec, Phase } from '../model/edge-spec';
import type { Decision, LocalFreeze, RepairRecord } from '../model/messages';
import { toMonotonic, type Now } from '../model/now';
import type { Evidence, Incident, State } from './types';

/** An unacknowledged report is sent again after this. */
export const RESEND_MS = 5_000;
/** An acknowledged one, when nothing came of it; doubles up to the second figure. */
export const REMIND_MS = 60_000;
export const REMIND_MAX_MS = 900_000;
/** Nothing is tried again sooner after a repair that left something over; doubles as well. */
export const RETRY_MS = 5_000;
export const RETRY_MAX_MS = 60_000;

const doubled = (ms: number, times: number, maxMs: number): number =>
  Math.min(ms * 2 ** times, maxMs);

/** Phases in which a workflow drives the host step by step: drift is its business, not ours. */
export const driven = (phase: Phase): boolean =>
  phase === 'onboarding' || phase === 'decommissioning';

export const frozenLocally = (freeze: LocalFreeze | null, epochMs: number): boolean =>
  freeze !== null && (freeze.untilMs === null || epochMs < freeze.untilMs);

export const frozenOf = (
  state: State,
  epochMs: number,
): { local: boolean; node: boolean; global: boolean } => ({
  local: frozenLocally(state.memory.freeze, epochMs),
  node: state.accepted?.spec.frozen.node ?? false,
  global: state.accepted?.spec.frozen.global ?? false,
});

/** When the agent may act alone on what is now on the table; null where the policy forbids it. */
const autonomyAt = (spec: EdgeSpec, monotonicMs: number): number | null =>
  spec.repair.policy === 'auto' ? monotonicMs + spec.repair.autonomyAfterMs : null;

/** What a report tells starts anew with it. */
const afresh = (plan: string, monotonicMs: number) => ({
  plan,
  reportAtMs: monotonicMs,
  reminders: 0,
  failures: 0,
  left: [],
  decided: null,
});

/** A host that was once verified to be this spec has drifted; else the spec itself is the news. */
export function openIncident(
  id: string,
  spec: EdgeSpec,
  cause: Incident['cause'],
  evidence: Evidence | null,
  plan: string,
  { monotonicMs, epochMs }: Now,
): Incident {
  return {
    id,
    cause,
    kernelAtMs: evidence?.kernelAtMs ?? epochMs,
    detectedAtMs: epochMs,
    suspect: evidence?.suspect ?? null,
    ...afresh(plan, monotonicMs),
    autonomyAtMs: autonomyAt(spec, monotonicMs),
  };
}

/**
 * Something changed that the last decision did not know: report, and wait for another one. A wait
 * that had begun goes on, else a host that changes all the time would never be repaired.
 */
export function reopen(
  incident: Incident,
  spec: EdgeSpec,
  plan: string,
  monotonicMs: number,
): Incident {
  const fresh = autonomyAt(spec, monotonicMs);
  const waiting = incident.decided === null ? incident.autonomyAtMs : null;
  return {
    ...incident,
    ...afresh(plan, monotonicMs),
    autonomyAtMs: fresh !== null && waiting !== null ? Math.min(waiting, fresh) : fresh,
  };
}

/** Sent: until a controller says that it has it, it is sent again. */
export const reported = (incident: Incident, monotonicMs: number): Incident => ({
  ...incident,
  reportAtMs: monotonicMs + RESEND_MS,
});

export const acknowledge = (incident: Incident, monotonicMs: number): Incident => ({
  ...incident,
  reportAtMs:
    incident.reportAtMs === null
      ? null
      : monotonicMs + doubled(REMIND_MS, incident.reminders, REMIND_MAX_MS),
  reminders: incident.reminders + 1,
});

/**
 * A decision stops autonomy, for as long as what it was taken by can last. One of the agent's own
 * does not keep it from reporting.
 */
export const decide = (
  incident: Incident,
  decision: Decision,
  by: RepairRecord['by'],
  { repair }: EdgeSpec,
  now: Now,
): Incident => ({
  ...incident,
  decided: decision.kind,
  reportAtMs: by === 'workflow' && decision.kind !== 'repair' ? null : incident.reportAtMs,
  autonomyAtMs: voidAt(decision, repair.budget.perMs, now),
});

function voidAt(decision: Decision, perMs: number, now: Now): number | null {
  if (decision.kind === 'budgetExhausted') return toMonotonic(decision.nextAtMs, now);
  // By then the repairs that did not last have left the window in which they are counted.
  return decision.kind === 'fighting' ? now.monotonicMs + perMs : null;
}

/** Decisions that time makes void: the question is asked anew, as if the drift were new. */
export const runsOut = (decided: Incident['decided']): boolean =>
  decided === 'budgetExhausted' || decided === 'fighting';

/** A repair ended and left something over: the question is asked again, after a while. */
export function retryLater(
  incident: Incident,
  spec: EdgeSpec,
  left: readonly string[],
  monotonicMs: number,
): Incident {
  const atMs = monotonicMs + doubled(RETRY_MS, incident.failures, RETRY_MAX_MS);
  return {
    ...incident,
    failures: incident.failures + 1,
    left: [...left],
    decided: null,
    reportAtMs: atMs,
    reminders: 0,
    autonomyAtMs: autonomyAt(spec, atMs),
  };
}

/** Nothing but what a repair has just left over: no reason to ask sooner. */
export const isLeftOver = ({ failures, left }: Incident, found: readonly string[]): boolean =>
  failures > 0 && found.every((key) => left.includes(key));
