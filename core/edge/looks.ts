/** Looks at the host: when they are due, and what a difference means. */
import { findingKey } from '../plan/types';
import { driven, isLeftOver, openIncident, reopen, reported } from './incident';
import { reportOf } from './report';
import type { Turn } from './turn';
import type { Accepted, Evidence, Look } from './types';

/**
 * Rest after a look: the first event after a quiet time is looked at and reported at once, what
 * follows it is coalesced. A look that took long is followed by a longer rest, so that a host full
 * of other people's changes keeps at least three quarters of that time for itself.
 */
export const COALESCE_MS = 50;
const REST_FACTOR = 3;
/** A full look, for what sends no event. */
export const FULL_LOOK_MS = 60_000;
/** After a look that failed. */
export const LOOK_RETRY_MS = 1_000;

/** While a job runs its own events can't be told from foreign ones; a look follows it anyway. */
export function hostEvent(turn: Turn, evidence: Evidence): void {
  const { state } = turn;
  const { monotonicMs } = turn.now;
  if (state.running !== null) return;
  // Where the first of a burst names nobody, the next one may.
  const { kernelAtMs, suspect } = state.pending ?? evidence;
  state.pending = { kernelAtMs, suspect: suspect ?? evidence.suspect };
  state.observeAtMs = Math.min(state.observeAtMs, Math.max(monotonicMs, state.restUntilMs));
}

export function lookIfDue(turn: Turn): void {
  const { state } = turn;
  const { monotonicMs } = turn.now;
  const { accepted } = state;
  if (accepted === null || state.running !== null || state.observing !== 'no') return;
  if (monotonicMs < state.observeAtMs) return;
  state.observing = 'yes';
  state.answering = state.pending;
  state.pending = null;
  state.lookBeganMs = monotonicMs;
  state.observeAtMs = monotonicMs + FULL_LOOK_MS;
  turn.effects.push({ kind: 'observe', spec: accepted.spec, hash: accepted.hash });
}

export function lookFailed(turn: Turn): void {
  const { state } = turn;
  state.observing = 'no';
  state.pending = state.answering ?? state.pending;
  state.observeAtMs = turn.now.monotonicMs + LOOK_RETRY_MS;
}

export function looked(turn: Turn, look: Look): void {
  const { state } = turn;
  const { monotonicMs } = turn.now;
  const stale = state.observing === 'stale';
  state.observing = 'no';
  if (state.accepted === null) return;
  if (stale || look.specHash !== state.accepted.hash) {
    state.pending = state.answering ?? state.pending;
    state.observeAtMs = monotonicMs;
    return;
  }
  state.look = look;
  const restMs = Math.max(COALESCE_MS, REST_FACTOR * (monotonicMs - state.lookBeganMs));
  state.restUntilMs = monotonicMs + restMs;
  if (state.pending !== null) state.observeAtMs = state.restUntilMs;
  if (look.findings.length === 0) clean(turn, state.accepted);
  else if (!driven(state.accepted.spec.phase)) differs(turn, look, state.accepted);
  state.answering = null;
}

export function clean(turn: Turn, accepted: Accepted): void {
  const { state } = turn;
  const { incident, appliedHash, verifiedHash } = state.memory;
  if (verifiedHash !== accepted.hash) turn.remember({ verifiedHash: accepted.hash });
  if (incident !== null) {
    turn.remember({ incident: null });
    // The time of day may have been set back meanwhile.
    const openMs = Math.max(0, turn.now.epochMs - incident.detectedAtMs);
    turn.note({ what: 'incidentClosed', incident: incident.id, openMs });
  }
  // Said again when an incident ends, so that the controller knows it without asking.
  if (appliedHash === accepted.hash && incident === null) return;
  if (appliedHash !== accepted.hash && state.filtersPending !== null) return;
  if (appliedHash !== accepted.hash) turn.remember({ appliedHash: accepted.hash });
  if (!state.connected) return;
  turn.effects.push({
    kind: 'applied',
    revision: accepted.spec.revision,
    hash: accepted.hash,
  });
}

function differs(turn: Turn, look: Look, { spec, hash }: Accepted): void {
  const { state } = turn;
  const { monotonicMs } = turn.now;
  const { incident, appliedHash, verifiedHash } = state.memory;
  const findings = look.findings.map(findingKey);
  if (incident !== null) {
    if (incident.plan === look.planHash) return;
    const known = isLeftOver(incident, findings);
    const plan = look.planHash;
    return turn.remember({
      incident: known ? { ...incident, plan } : reopen(incident, spec, plan, monotonicMs),
    });
  }
  const id = turn.sources.newIncidentId();
  // A host that was once verified to be this spec has drifted; else the spec itself is the news.
  const cause = (verifiedHash ?? appliedHash) === hash ? 'kernel' : 'spec';
  const evidence = cause === 'kernel' ? (state.answering ?? state.pending) : null;
  const opened = openIncident(id, spec, cause, evidence, look.planHash, turn.now);
  turn.remember({ incident: opened });
  turn.note({ what: 'incidentOpened', incident: id, findings, suspect: opened.suspect });
}

export function reportIfDue(turn: Turn): void {
  const { state } = turn;
  const { monotonicMs } = turn.now;
  const { incident } = state.memory;
  if (!state.connected || incident === null || state.look === null) return;
  if (state.running !== null) return;
  if (incident.reportAtMs === null || monotonicMs < incident.reportAtMs) return;
  turn.remember({ incident: reported(incident, monotonicMs) });
  turn.effects.push({ kind: 'report', report: reportOf(state, turn.now.epochMs) });
}
