/** One plan at a time, whoever asks: the queue of jobs, and what their results mean. */
import type { ReconcileRequest, ReconcileResult, RepairRecord } from '../model/messages';
import { findingKey, findingText } from '../plan/types';
import { decide as decideOn } from '../repair/decide';
import type { EdgeSpec } from '../model/edge-spec';
import { refusal } from './admit';
import { driven, reopen, retryLater, runsOut } from './incident';
import { clean } from './looks';
import { reportOf } from './report';
import type { Turn } from './turn';
import type { Accepted, Incident, Job } from './types';

/** Jobs that may wait; a workflow that finds the queue full tries again. */
export const QUEUE_MAX = 8;
/** Bounds of what is remembered. */
export const REPAIRS_KEPT = 200;
export const UNSENT_KEPT = 50;

export function request(
  turn: Turn,
  kind: Job['kind'],
  asked: ReconcileRequest,
  ticket: number,
): void {
  const { state, now } = turn;
  const full = state.queue.length >= QUEUE_MAX ? 'too many jobs wait already' : null;
  const reason = full ?? refusal(state, kind, asked, now.epochMs);
  if (reason !== null) return refuse(turn, asked, ticket, reason);
  turn.decided(asked.incidentId, { kind: 'repair' }, 'workflow');
  state.queue = [...state.queue, { kind, by: 'workflow', ticket, request: asked }];
}

/** Nobody decided in time: the agent does, by the same function as the workflow. */
export function actAlone(turn: Turn): void {
  const { state } = turn;
  const { monotonicMs, epochMs } = turn.now;
  const { accepted } = state;
  const { incident } = state.memory;
  if (incident?.autonomyAtMs == null || monotonicMs < incident.autonomyAtMs) return;
  if (accepted === null || state.look === null) return;
  if (state.running !== null || state.queue.length > 0) return;
  if (runsOut(incident.decided)) {
    // It has run out by now: tell the workflow first.
    const { spec } = accepted;
    return turn.remember({ incident: reopen(incident, spec, incident.plan, monotonicMs) });
  }
  const decision = decideOn(reportOf(state, epochMs), [], epochMs);
  turn.decided(incident.id, decision, 'agent');
  turn.note({ what: 'autonomy', incident: incident.id, decision });
  if (decision.kind !== 'repair') return;
  const fence = {
    workflowId: '',
    runId: '',
    revision: accepted.spec.revision,
    planHash: null,
  };
  const asked = { node: state.node, incidentId: incident.id, fence, stages: null };
  state.queue = [{ kind: 'reconcile', by: 'agent', ticket: null, request: asked }];
}

export function startNext(turn: Turn): void {
  const { state, now } = turn;
  for (let job = state.queue[0]; job !== undefined; job = state.queue[0]) {
    if (state.running !== null || state.accepted === null) return;
    state.queue = state.queue.slice(1);
    // What was right when it was queued may have been overtaken.
    const reason =
      job.by === 'workflow' ? refusal(state, job.kind, job.request, now.epochMs) : null;
    if (reason === null) start(turn, job, state.accepted);
    else refuse(turn, job.request, job.ticket, reason);
  }
}

function start(turn: Turn, job: Job, accepted: Accepted): void {
  const { state } = turn;
  const { incident } = state.memory;
  state.running = job;
  if (state.observing === 'yes') state.observing = 'stale';
  const kernelAtMs = incident?.cause === 'kernel' ? incident.kernelAtMs : null;
  turn.effects.push({ kind: 'start', job, accepted, kernelAtMs });
}

function refuse(turn: Turn, asked: ReconcileRequest, ticket: number | null, reason: string): void {
  turn.note({ what: 'refused', incident: asked.incidentId, reason });
  if (ticket === null) return;
  const { look, accepted } = turn.state;
  const result: ReconcileResult = {
    outcome: 'refused',
    reason,
    revision: accepted?.spec.revision ?? 0,
    planHash: look?.planHash ?? '',
    found: look?.findings ?? [],
    applied: [],
    remaining: look?.findings ?? [],
    startedAtMs: turn.now.epochMs,
    finishedAtMs: turn.now.epochMs,
    repairedInMs: null,
  };
  turn.effects.push({ kind: 'answer', ticket, result });
}

export function jobDone(turn: Turn, result: ReconcileResult): void {
  const { state, now } = turn;
  const { running: job, accepted } = state;
  if (job === null) return;
  state.running = null;
  state.observeAtMs = now.monotonicMs;
  if (accepted !== null) {
    if (!driven(accepted.spec.phase)) record(turn, job, result, accepted);
    if (isVerdict(job, result, accepted)) {
      state.look = { specHash: accepted.hash, findings: [], plan: [], planHash: '' };
      clean(turn, accepted);
    }
  }
  if (job.ticket !== null) turn.effects.push({ kind: 'answer', ticket: job.ticket, result });
}

/** The job itself verified the whole spec; the look that follows catches what came meanwhile. */
const isVerdict = (job: Job, result: ReconcileResult, accepted: Accepted): boolean =>
  result.outcome === 'converged' &&
  job.kind === 'reconcile' &&
  job.request.stages === null &&
  result.revision === accepted.spec.revision;

function record(turn: Turn, job: Job, result: ReconcileResult, accepted: Accepted): void {
  const { state } = turn;
  const { monotonicMs, epochMs } = turn.now;
  const { incident, repairs, unsent } = state.memory;
  const { incidentId } = job.request;
  const ours = incident?.id === incidentId;
  if (result.applied.length === 0 && !ours) return;
  const begun = result.outcome !== 'refused';
  const mended = result.found.filter((found) => !found.conflict);
  const entry: RepairRecord = {
    incidentId,
    atMs: epochMs,
    decision: 'repair',
    outcome: result.outcome,
    by: job.by,
    findings: mended.map(findingText),
    repairedInMs: result.repairedInMs,
    suspect: ours ? incident.suspect : null,
    ...(ours ? { cause: incident.cause } : {}),
    ...(result.reason === null ? {} : { reason: result.reason }),
  };
  const attempt = { atMs: epochMs, findings: mended.map(findingKey) };
  // A new spec is not a repair: applying ten of them in a row is nobody's fight.
  const counts = mended.length > 0 && begun && (!ours || incident.cause === 'kernel');
  turn.remember({
    lastRepair: entry,
    repairs: counts ? [...repairs, attempt].slice(-REPAIRS_KEPT) : repairs,
    unsent: job.by === 'agent' ? [...unsent, entry].slice(-UNSENT_KEPT) : unsent,
    incident: ours ? afterRepair(incident, result, accepted.spec, monotonicMs) : incident,
  });
  turn.note({ what: 'repaired', record: entry, result });
  if (job.by === 'agent' && state.connected) turn.effects.push({ kind: 'record', record: entry });
}

/** What becomes of an incident; where nothing is left of it, the look that follows closes it. */
function afterRepair(
  incident: Incident,
  { outcome, found, remaining }: ReconcileResult,
  spec: EdgeSpec,
  monotonicMs: number,
): Incident {
  // The plan that was decided is not the one that would run: that is news, not a failure.
  if (outcome === 'refused') return reopen(incident, spec, '', monotonicMs);
  return retryLater(incident, spec, [...found, ...remaining].map(findingKey), monotonicMs);
}
