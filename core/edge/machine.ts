/**
 * The edge agent's protocol: `step(state, input, now)` gives the next state and what is to be done.
 *
 *   spec ──► stored ──► accepted ──► look ──► clean: applied
 *   event ─────────────────────────►  │
 *                                     └► differs: incident ─► report ─► (ack) ─► decision
 *                                           ▲                                      │ none within
 *                                           │                                      ▼ autonomyAfter
 *                                         look ◄── done ◄── job (one at a time) ◄─ workflow or agent
 *
 * Rules (design §3 and §5): the highest fence commands; a spec counts once it is on disk; the first
 * event of a burst is looked at and reported at once; in the phases that a workflow drives
 * (onboarding, decommissioning) nothing is reported and nothing is repaired alone.
 */
import { compareFence } from './fence';
import { toMonotonic, type Now } from '../model/now';
import { filtersIfDue, filtersTold, override, refill } from './filters';
import { acknowledge, driven, frozenLocally, reopen } from './incident';
import { actAlone, jobDone, request, startNext } from './jobs';
import { hostEvent, looked, lookFailed, lookIfDue, reportIfDue } from './looks';
import { receiveSpec, retryStore, sayAgain, specStored, unreadSpec } from './specs';
import { Turn, type Sources } from './turn';
import {
  EMPTY_MEMORY,
  type Accepted,
  type Effect,
  type Input,
  type Memory,
  type State,
} from './types';

export const initialState = (
  node: string,
  accepted: Accepted | null,
  memory: Memory = EMPTY_MEMORY,
): State => ({
  node,
  accepted,
  memory: atLeast(memory, accepted),
  storing: null,
  unstored: null,
  refused: null,
  look: null,
  filtersPending: null,
  filtersAtMs: Infinity,
  filledAtMs: 0,
  pending: null,
  answering: null,
  observing: 'no',
  observeAtMs: 0,
  lookBeganMs: 0,
  restUntilMs: 0,
  connected: false,
  running: null,
  queue: [],
});

/** Memory is written behind (decision 0031), or lost: whoever sent the accepted spec had commanded us all the same. */
const atLeast = (memory: Memory, accepted: Accepted | null): Memory =>
  accepted !== null && compareFence(memory.fence, accepted.fence) === 'raises'
    ? { ...memory, fence: accepted.fence }
    : memory;

/** Pure: neither `state` nor `input` is changed. */
export function step(
  state: State,
  input: Input,
  now: Now,
  sources: Sources,
): { state: State; effects: Effect[] } {
  const turn = new Turn(state, now, sources);
  take(turn, input);
  filtersIfDue(turn);
  actAlone(turn);
  startNext(turn);
  lookIfDue(turn);
  reportIfDue(turn);
  return { state: turn.state, effects: turn.effects };
}

/**
 * Monotonic ms at which `tick` is due, as the time of day stands: to be asked again now and then, since
 * that may be set. Infinity where nothing happens by time alone.
 */
export function deadline(state: State, now: Now): number {
  const { incident, freeze } = state.memory;
  const freezeEnds = toMonotonic(freeze?.untilMs ?? Infinity, now);
  const at = [freezeEnds, state.unstored?.retryAtMs ?? Infinity];
  if (state.accepted !== null) at.push(toMonotonic(state.filtersAtMs, now));
  if (state.accepted !== null && state.running === null) {
    if (state.observing === 'no') at.push(state.observeAtMs);
    if (incident !== null && state.look !== null) {
      at.push(incident.autonomyAtMs ?? Infinity);
      if (state.connected) at.push(incident.reportAtMs ?? Infinity);
    }
  }
  return Math.min(...at);
}

function take(turn: Turn, input: Input): void {
  switch (input.kind) {
    case 'started':
      return started(turn);
    case 'specReceived':
      return receiveSpec(turn, input);
    case 'specUnread':
      return unreadSpec(turn, input);
    case 'specStored':
      return specStored(turn, input.accepted, input.error);
    case 'hostEvent':
      return hostEvent(turn, { kernelAtMs: input.event.kernelAtMs, suspect: input.suspect });
    case 'observed':
      return looked(turn, input.look);
    case 'observeFailed':
      return lookFailed(turn);
    case 'connected':
      return connected(turn);
    case 'disconnected':
      turn.state.connected = false;
      // Whoever comes next sends what it wants, and hears of that.
      turn.state.refused = null;
      return;
    case 'fenceHeard':
      turn.heard(input.fence);
      return;
    case 'driftAcked':
      return driftAcked(turn, input);
    case 'recordAcked':
      return recordAcked(turn, input);
    case 'decisionNoted':
      return turn.decided(input.incidentId, input.decision, 'workflow');
    case 'requested':
      return request(turn, input.job, input.request, input.ticket);
    case 'jobDone':
      return jobDone(turn, input.result);
    case 'localFreeze': {
      const { untilMs, reason, by } = input;
      return turn.remember({ freeze: { sinceMs: turn.now.epochMs, untilMs, reason, by } });
    }
    case 'localUnfreeze':
      return thaw(turn);
    case 'override':
      return override(turn, input);
    case 'filtersTold':
      return filtersTold(turn, input.specHash, input.pending);
    case 'tick':
      return tick(turn);
  }
}

function started(turn: Turn): void {
  const { state } = turn;
  // When its waits end was said by the clock of another run of the host, perhaps.
  const incident = state.memory.incident && { ...state.memory.incident, autonomyAtMs: null };
  if (incident !== null) turn.remember({ incident });
  if (state.accepted === null) return;
  const { spec } = state.accepted;
  // A job that was cut short left no result: what is on the host now decides anew.
  if (incident !== null) {
    const again = reopen(incident, spec, '', turn.now.monotonicMs);
    turn.remember({ incident: driven(spec.phase) ? null : again });
  }
  refill(turn, state.accepted);
  turn.effects.push({ kind: 'watch', spec });
}

function connected(turn: Turn): void {
  const { state } = turn;
  const { incident, unsent } = state.memory;
  state.connected = true;
  // Who took the former report may not be there any more.
  if (incident !== null && incident.reportAtMs !== null) {
    turn.remember({ incident: { ...incident, reportAtMs: turn.now.monotonicMs } });
  }
  for (const record of unsent) turn.effects.push({ kind: 'record', record });
  sayAgain(turn);
}

function driftAcked(turn: Turn, input: Extract<Input, { kind: 'driftAcked' }>): void {
  const { incident } = turn.state.memory;
  if (!turn.heard(input.fence) || incident?.id !== input.incidentId) return;
  turn.remember({ incident: acknowledge(incident, turn.now.monotonicMs) });
}

function recordAcked(turn: Turn, input: Extract<Input, { kind: 'recordAcked' }>): void {
  if (!turn.heard(input.fence)) return;
  const unsent = turn.state.memory.unsent.filter(
    (record) => record.incidentId !== input.incidentId || record.atMs !== input.atMs,
  );
  turn.remember({ unsent });
}

function thaw(turn: Turn): void {
  const { state, now } = turn;
  const { incident } = state.memory;
  turn.remember({ freeze: null });
  if (incident === null || state.accepted === null) return;
  turn.remember({
    incident: reopen(incident, state.accepted.spec, incident.plan, now.monotonicMs),
  });
}

function tick(turn: Turn): void {
  const { freeze } = turn.state.memory;
  if (freeze !== null && !frozenLocally(freeze, turn.now.epochMs)) thaw(turn);
  retryStore(turn);
}
