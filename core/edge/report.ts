/** What the agent says: a report of drift, and its own status. */
import type { DriftReport, EdgeStatus } from '../model/messages';
import { toEpoch, type Now } from '../model/now';
import { findingKey } from '../plan/types';
import { recurring, usage } from '../repair/budget';
import { frozenLocally, frozenOf, runsOut } from './incident';
import type { Incident, State } from './types';

/** Of an open incident that was looked at; the machine reports no other. */
export function reportOf(state: State, epochMs: number): DriftReport {
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
    frozen: frozenOf(state, epochMs),
    budget: usage(repairs, perMs, epochMs),
    recurring: recurring(repairs, look.findings.map(findingKey), perMs, epochMs),
  };
}

/** What only the shell knows of itself. */
export type ShellStatus = Pick<
  EdgeStatus,
  'incarnation' | 'agentVersion' | 'controller' | 'temporal' | 'problems' | 'filters' | 'routing'
>;

export function statusOf(state: State, shell: ShellStatus, now: Now): EdgeStatus {
  const { epochMs } = now;
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
    nextTimer: nextTimer(state, now),
    budget: { ...budget, used: usage(memory.repairs, budget.perMs, epochMs).used },
    frozen: frozenOf(state, epochMs),
    freeze: frozenLocally(memory.freeze, epochMs) ? memory.freeze : null,
  };
}

/** Of all that will happen by time alone, what comes first and means something to people. */
function nextTimer(state: State, now: Now): EdgeStatus['nextTimer'] {
  const { incident, freeze } = state.memory;
  const timers = incident === null ? [] : incidentTimers(state, incident, now);
  if (freeze?.untilMs != null) timers.push({ what: 'the local freeze ends', atMs: freeze.untilMs });
  if (state.unstored !== null) {
    timers.push({
      what: 'the new spec is written again',
      atMs: toEpoch(state.unstored.retryAtMs, now),
    });
  }
  if (state.accepted !== null && state.filtersAtMs !== Infinity) {
    timers.push({ what: 'an entry of the filters ends', atMs: state.filtersAtMs });
  }
  if (state.accepted !== null) {
    timers.push({ what: 'full look', atMs: toEpoch(state.observeAtMs, now) });
  }
  return timers.reduce<EdgeStatus['nextTimer']>(
    (first, timer) => (first === null || timer.atMs < first.atMs ? timer : first),
    null,
  );
}

function incidentTimers(
  state: State,
  incident: Incident,
  now: Now,
): { what: string; atMs: number }[] {
  const timers = [];
  if (incident.autonomyAtMs !== null) {
    const what = runsOut(incident.decided)
      ? 'the decision runs out and the drift is reported anew'
      : 'the agent decides by itself';
    timers.push({ what, atMs: toEpoch(incident.autonomyAtMs, now) });
  }
  const at = state.connected ? incident.reportAtMs : null;
  if (at !== null) timers.push({ what: 'the drift is reported again', atMs: toEpoch(at, now) });
  return timers;
}
