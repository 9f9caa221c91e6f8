/** The rules of `nodeLifecycle` as a value: who may have which phase, and when a person is needed. */
import type { Phase } from '../core/model/edge-spec';
import type {
  GrantPhase,
  LifecycleState,
  ReleasePhase,
  RepairRecord,
} from '../core/model/messages';

/** Newest last; more would make each continue-as-new heavier for no reader. */
export const REPAIRS_KEPT = 50;

export const INITIAL: LifecycleState = {
  phase: null,
  phaseRevision: 0,
  holder: null,
  repairs: [],
  escalation: null,
};

/** From which phases a phase may be granted; every other way is refused. */
const FROM: Record<Phase, readonly (Phase | null)[]> = {
  // A failed onboarding leaves `decommissioning` behind where its undo failed.
  onboarding: [null, 'onboarding', 'decommissioning'],
  active: ['onboarding', 'active', 'draining', 'quarantined'],
  draining: ['active', 'draining', 'quarantined'],
  quarantined: ['active', 'draining', 'quarantined'],
  decommissioning: [null, 'onboarding', 'active', 'draining', 'quarantined', 'decommissioning'],
};

export type Refused = { why: 'held'; holder: string } | { why: 'order'; phase: Phase | null };

/** Null: it may be granted. A holder asks again without being in its own way. */
export function refusedGrant(
  { holder, phase }: Pick<LifecycleState, 'holder' | 'phase'>,
  grant: GrantPhase,
): Refused | null {
  const free = holder === null || holder === grant.holder || holder === grant.takeOver;
  if (!free) return { why: 'held', holder };
  return FROM[grant.phase].includes(phase) ? null : { why: 'order', phase };
}

/**
 * Who holds the phase may release it, and may say so twice. An entity without memory (its history
 * was lost) takes the word of whoever was at work.
 */
export function isRelease(state: LifecycleState, { holder, next }: ReleasePhase): boolean {
  if (state.holder !== null) return state.holder === holder;
  return state.phase === next || state.phaseRevision === 0;
}

/** A failed holder that leaves a phase behind could not finish: a person has to look. */
export function released(
  state: LifecycleState,
  { holder, outcome, next }: ReleasePhase,
  nowMs: number,
): LifecycleState {
  const free = { ...state, holder: null };
  // Traffic that comes and goes says nothing of what needs a person.
  const traffic = state.phase === 'draining' || state.phase === 'quarantined';
  if (outcome === 'done') return traffic ? free : { ...free, escalation: null };
  if (next === null) return free;
  const reason = `${holder} failed and did not take everything back: its result names what is left`;
  return { ...free, escalation: { sinceMs: nowMs, reason, suspect: null } };
}

/**
 * An audit asks about an open drift again and again, and hears the same: the newest answer stands
 * for them all, else they would push out what was really done.
 */
function kept(repairs: readonly RepairRecord[], ended: RepairRecord): RepairRecord[] {
  const newest = repairs.at(-1);
  const same =
    ended.decision !== 'repair' &&
    ended.outcome === 'none' &&
    newest?.outcome === 'none' &&
    newest.incidentId === ended.incidentId &&
    newest.decision === ended.decision;
  return [...(same ? repairs.slice(0, -1) : repairs), ended].slice(-REPAIRS_KEPT);
}

/** Only a repair that converged ends an escalation: silence may mean that nobody tries any more. */
export function record(state: LifecycleState, ended: RepairRecord, nowMs: number): LifecycleState {
  const repairs = kept(state.repairs, ended);
  if (ended.outcome === 'converged') return { ...state, repairs, escalation: null };
  if (!NEEDS_A_PERSON.has(ended.decision)) return { ...state, repairs };
  return {
    ...state,
    repairs,
    escalation: {
      sinceMs: state.escalation?.sinceMs ?? nowMs,
      reason: ended.reason ?? ended.decision,
      suspect: ended.suspect ?? null,
    },
  };
}

const NEEDS_A_PERSON: ReadonlySet<RepairRecord['decision']> = new Set([
  'fighting',
  'budgetExhausted',
  'conflict',
]);
