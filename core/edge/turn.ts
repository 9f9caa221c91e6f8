/** One step of the machine in the making: a shallow copy of the state, and the effects so far. */
import type { OwnerFence } from '../model/edge-spec';
import type { Decision, RepairRecord } from '../model/messages';
import type { Now } from '../model/now';
import { compareFence } from './fence';
import { decide } from './incident';
import type { Effect, Memory, Note, State } from './types';

export interface Sources {
  /** `inc-<base32>`; randomness is the caller's. */
  newIncidentId(): string;
}

export class Turn {
  readonly state: State;
  readonly effects: Effect[] = [];

  constructor(
    state: State,
    readonly now: Now,
    readonly sources: Sources,
  ) {
    this.state = { ...state };
  }

  /** Changes the memory; at most one `persist` a step. */
  remember(change: Partial<Memory>): void {
    this.state.memory = { ...this.state.memory, ...change };
    if (this.effects[0]?.kind !== 'persist') this.effects.unshift({ kind: 'persist' });
  }

  note(note: Note): void {
    this.effects.push({ kind: 'note', note });
  }

  /** False where the message comes from a controller that no longer commands us. */
  heard(fence: OwnerFence): boolean {
    const held = this.state.memory.fence;
    const verdict = compareFence(held, fence);
    if (verdict === 'raises') this.remember({ fence });
    if (verdict === 'stale' && held !== null) this.note({ what: 'staleFence', heard: fence, held });
    return verdict !== 'stale';
  }

  decided(incidentId: string, decision: Decision, by: RepairRecord['by']): void {
    const { now } = this;
    const { accepted, memory } = this.state;
    this.remember({ lastDecision: { decision, atMs: now.epochMs, incidentId } });
    if (memory.incident?.id !== incidentId || accepted === null) return;
    this.remember({ incident: decide(memory.incident, decision, by, accepted.spec, now) });
  }
}
