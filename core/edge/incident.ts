/** Life of an incident: opened by the first look that finds a difference, closed by a clean one. */
import type { EdgeSpec, Phase } from '../model/edge-spec';
import type { Decision } from '../model/messages';
import type { Evidence, Incident, LocalFreeze, State } from './types';

/** An unacknowledged report is sent again after this. */
export const RESEND_MS = 5_000;
/** An acknowledged one, when nothing came of it; doubles up to the second figure. */
export const REMIND_MS = 60_000;
export const REMIND_MAX_MS = 900_000;
/** After a repair that left something over, whoever decides durably has this long to go on. */
export const RETRY_MS = 5_000;

/** Phases in which a workflow drives the host step by step: drift is its business, not ours. */
export const driven = (phase: Phase): boolean =>
  phase === 'onboarding' || phase === 'decommissioning';

export const frozenLocally = (freeze: LocalFreeze | null, nowMs: number): boolean =>
  freeze !== null && (freeze.untilMs === null || nowMs < freeze.untilMs);

export const frozenOf = (
  state: State,
  nowMs: number,
): { local: boolean; node: boolean; global: boolean } => ({
  local: frozenLocally(state.memory.freeze, nowMs),
  node: state.accepted?.spec.frozen.node ?? false,
  global: state.accepted?.spec.frozen.global ?? false,
});

/** When the agent may act alone on what is now on the table; null where the policy forbids it. */
const autonomyAt = (spec: EdgeSpec, nowMs: number): number | null =>
  spec.repair.policy === 'auto' ? nowMs + spec.repair.autonomyAfterMs : null;

/** A host that was once verified to be this spec has drifted; else the spec itself is the news. */
export function openIncident(
  id: string,
  spec: EdgeSpec,
  cause: Incident['cause'],
  evidence: Evidence | null,
  plan: string,
  nowMs: number,
): Incident {
  return {
    id,
    cause,
    kernelAtMs: evidence?.kernelAtMs ?? nowMs,
    detectedAtMs: nowMs,
    suspect: evidence?.suspect ?? null,
    plan,
    sends: 0,
    reportedAtMs: 0,
    acked: false,
    decided: null,
    autonomyAtMs: autonomyAt(spec, nowMs),
  };
}

/**
 * Something changed that the last decision did not know: report, and wait for another one. A wait
 * that had begun goes on, else a host that changes all the time would never be repaired.
 */
export function reopen(incident: Incident, spec: EdgeSpec, plan: string, nowMs: number): Incident {
  const fresh = autonomyAt(spec, nowMs);
  const waiting = incident.decided === null ? incident.autonomyAtMs : null;
  return {
    ...incident,
    plan,
    sends: 0,
    acked: false,
    decided: null,
    autonomyAtMs: fresh !== null && waiting !== null ? Math.min(waiting, fresh) : fresh,
  };
}

export const acknowledge = (incident: Incident): Incident => ({
  ...incident,
  acked: true,
  sends: 1,
});

/** A decision stops autonomy, for as long as what it was taken by can last. */
export const decide = (
  incident: Incident,
  decision: Decision,
  { repair }: EdgeSpec,
  nowMs: number,
): Incident => ({
  ...incident,
  decided: decision.kind,
  autonomyAtMs: voidAt(decision, repair.budget.perMs, nowMs),
});

function voidAt(decision: Decision, perMs: number, nowMs: number): number | null {
  if (decision.kind === 'budgetExhausted') return decision.nextAtMs;
  // By then the repairs that did not last have left the window in which they are counted.
  return decision.kind === 'fighting' ? nowMs + perMs : null;
}

/** Decisions that time makes void: the question is asked anew, as if the drift were new. */
export const runsOut = (decided: Incident['decided']): boolean =>
  decided === 'budgetExhausted' || decided === 'fighting';

/** A repair ended and left something over. */
export const retryLater = (incident: Incident, spec: EdgeSpec, nowMs: number): Incident => ({
  ...incident,
  autonomyAtMs:
    spec.repair.policy === 'auto' ? nowMs + Math.max(RETRY_MS, spec.repair.autonomyAfterMs) : null,
});

/** When the report goes up (again) by time alone; null while a decision is being waited out. */
export function reportAt(incident: Incident): number | null {
  if (incident.sends === 0) return 0;
  if (!incident.acked) return incident.reportedAtMs + RESEND_MS;
  if (incident.decided !== null && incident.decided !== 'repair') return null;
  return incident.reportedAtMs + Math.min(REMIND_MS * 2 ** (incident.sends - 1), REMIND_MAX_MS);
}
