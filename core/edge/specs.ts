/** How a spec comes to be the accepted one: fenced, newer, and on disk first. */
import { refill } from './filters';
import { driven, reopen } from './incident';
import type { Turn } from './turn';
import type { Accepted, Input } from './types';

/** A write of a spec that failed is tried again after this. */
export const STORE_RETRY_MS = 5_000;

export function receiveSpec(turn: Turn, input: Extract<Input, { kind: 'specReceived' }>): void {
  if (!turn.heard(input.fence)) return;
  const { state } = turn;
  const { spec, hash, fence } = input;
  if (spec.node !== state.node) return refuse(turn, input.revision, `is for ${spec.node}`);
  if (spec.revision !== input.revision) {
    return refuse(turn, input.revision, `carries revision ${spec.revision}`);
  }
  const held = state.storing ?? state.unstored?.accepted ?? state.accepted;
  // After a restore of the cluster its revisions may begin again.
  if (held !== null && fence.clusterIncarnation === held.fence.clusterIncarnation) {
    if (spec.revision < held.spec.revision) {
      return refuse(turn, spec.revision, `is older than ${held.spec.revision}, which is held`);
    }
    if (spec.revision === held.spec.revision && hash === held.hash) {
      if (held === state.accepted) state.refused = null;
      // Whoever sends it again does not know what became of it.
      return sayAgain(turn);
    }
  }
  store(turn, { spec, hash, fence });
}

/** What became of the spec that came last: what was said of it may have been lost on a stream that was full. */
export function sayAgain(turn: Turn): void {
  const { accepted, refused, connected, memory } = turn.state;
  if (!connected) return;
  if (refused !== null) turn.effects.push({ kind: 'refuseSpec', ...refused });
  // While an incident is open it is another state that counts; its end is said.
  if (accepted === null || memory.appliedHash !== accepted.hash || memory.incident !== null) return;
  const { revision } = accepted.spec;
  turn.effects.push({ kind: 'applied', revision, hash: accepted.hash });
}

/** It came, and can't be taken for a spec. */
export function unreadSpec(turn: Turn, input: Extract<Input, { kind: 'specUnread' }>): void {
  if (turn.heard(input.fence)) refuse(turn, input.revision, input.reason);
}

export function specStored(turn: Turn, written: Accepted, error: string | null): void {
  const { state } = turn;
  const { storing } = state;
  // A newer one may have come while this one was being written.
  if (storing?.hash !== written.hash || storing.spec.revision !== written.spec.revision) return;
  state.storing = null;
  if (error === null) return accept(turn, storing);
  state.unstored = { accepted: storing, retryAtMs: turn.now.monotonicMs + STORE_RETRY_MS };
  refuse(turn, storing.spec.revision, `can't be kept, so it is not accepted: ${error}`);
}

export function retryStore(turn: Turn): void {
  const { unstored } = turn.state;
  if (unstored !== null && turn.now.monotonicMs >= unstored.retryAtMs)
    store(turn, unstored.accepted);
}

function store(turn: Turn, accepted: Accepted): void {
  turn.state.storing = accepted;
  turn.state.unstored = null;
  turn.state.refused = null;
  turn.effects.push({ kind: 'storeSpec', accepted });
}

function accept(turn: Turn, accepted: Accepted): void {
  const { state } = turn;
  const { monotonicMs } = turn.now;
  const { spec, hash, fence } = accepted;
  const { incident } = state.memory;
  state.accepted = accepted;
  state.look = null;
  state.observeAtMs = monotonicMs;
  if (state.observing === 'yes') state.observing = 'stale';
  if (incident !== null) {
    turn.remember({
      incident: driven(spec.phase) ? null : reopen(incident, spec, '', monotonicMs),
    });
  }
  turn.note({ what: 'specAccepted', revision: spec.revision, hash, phase: spec.phase, fence });
  refill(turn, accepted);
  turn.effects.push({ kind: 'watch', spec });
}

function refuse(turn: Turn, revision: number, why: string): void {
  const refused = { revision, reason: `revision ${revision} ${why}` };
  turn.state.refused = refused;
  turn.effects.push({ kind: 'refuseSpec', ...refused });
}
