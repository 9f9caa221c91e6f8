/** What the agent says: a report of drift, and its own status. */
import type { DriftReport, EdgeStatus } from '../model/messages';
import { findingKey } from '../plan/types';
import { recurring, usage } from '../repair/budget';
import { frozenLocally, frozenOf, runsOut } from './incident';
import type { Incident, State } from './types';

/** Of an open incident that was looked at; the machine reports no other. */
export function reportOf(state: State, nowMs: number): DriftReport {
  const { accepted, look, memory } = state;
  const { incident, repairs } = memory;
  if (accepted === null || look === null || incident === null) throw new Error('no incident');
  const { repair, revision } = accepted.spec;
  const { perMs } = repair.budget;
  return {
    node: state.node,
    incidentId: incident.id,
    revision,
    specHash: accepted.hash,
    planHash: look.planHash,
    findings: look.findings,
    cause: incident.cause,
    kernelAtMs: incident.kernelAtMs,
    detectedAtMs: incident.detectedAtMs,
    suspect: incident.suspect,
    plan: look.plan,
    policy: repair,
    frozen: frozenOf(state, nowMs),
    budget: usage(repairs, perMs, nowMs),
    recurring: recurring(repairs, look.findings.map(findingKey), perMs, nowMs),
  };
}

/** What only the shell knows of itself. */
export type ShellStatus = Pick<
  EdgeStatus,
  'incarnation' | 'agentVersion' | 'controller' | 'temporal' | 'problems' | 'filters' | 'routing'
>;

export function statusOf(state: State, shell: ShellStatus, nowMs: number): EdgeStatus {
  const { accepted, look, memory } = state;
  const budget = accepted?.spec.repair.budget ?? { attempts: 0, perMs: 0 };
  return {
    node: state.node,
    ...shell,
    accepted: accepted && {
      revision: accepted.spec.revision,
      hash: accepted.hash,
      phase: accepted.spec.phase,
    },
    appliedHash: memory.appliedHash,
    findings: look?.findings ?? [],
    plan: look?.plan ?? [],
    planHash: look?.planHash ?? '',
    incident: memory.incident?.id ?? null,
    lastDecision: memory.lastDecision,
    lastRepair: memory.lastRepair,
    nextTimer: nextTimer(state),
    budget: { ...budget, used: usage(memory.repairs, budget.perMs, nowMs).used },
    frozen: frozenOf(state, nowMs),
    freeze: frozenLocally(memory.freeze, nowMs) ? memory.freeze : null,
  };
}

/** Of all that will happen by time alone, what comes first and means something to people. */
function nextTimer(state: State): EdgeStatus['nextTimer'] {
  const { incident, freeze } = state.memory;
  const timers = incident === null ? [] : incidentTimers(state, incident);
  if (freeze?.untilMs != null) timers.push({ what: 'the local freeze ends', atMs: freeze.untilMs });
  if (state.unstored !== null) {
    timers.push({ what: 'the new spec is written again', atMs: state.unstored.retryAtMs });
  }
  if (state.accepted !== null && state.filtersAtMs !== Infinity) {
    timers.push({ what: 'an entry of the filters ends', atMs: state.filtersAtMs });
  }
  if (state.accepted !== null) timers.push({ what: 'full look', atMs: state.observeAtMs });
  return timers.reduce<EdgeStatus['nextTimer']>(
    (first, timer) => (first === null || timer.atMs < first.atMs ? timer : first),
    null,
  );
}

function incidentTimers(state: State, incident: Incident): { what: string; atMs: number }[] {
  const timers = [];
  if (incident.autonomyAtMs !== null) {
    const what = runsOut(incident.decided)
      ? 'the decision runs out and the drift is reported anew'
      : 'the agent decides by itself';
    timers.push({ what, atMs: incident.autonomyAtMs });
  }
  const at = state.connected ? incident.reportAtMs : null;
  if (at !== null) timers.push({ what: 'the drift is reported again', atMs: at });
  return timers;
}
