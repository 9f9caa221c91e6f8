/** What the edge itself refuses, whoever asks (design §3 fence b, §5). Nothing was changed then. */
import type { ReconcileRequest } from '../model/messages';
import { usage } from '../repair/budget';
import { driven, frozenOf } from './incident';
import type { Job, State } from './types';

/**
 * Why a job of a workflow may not run now, as a sentence; null = it may. The plan's hash is checked
 * where the plan is made, by the run itself.
 */
export function refusal(
  state: State,
  kind: Job['kind'],
  request: ReconcileRequest,
  epochMs: number,
): string | null {
  const { accepted } = state;
  if (request.node !== state.node) return `this edge is ${state.node}, not ${request.node}`;
  if (accepted === null) return 'no spec was ever accepted';
  const { revision, phase } = accepted.spec;
  const asked = request.fence.revision;
  if (asked < revision) return `decided against revision ${asked}, but ${revision} is accepted`;
  if (asked > revision) return `revision ${asked} has not arrived yet, ${revision} is accepted`;
  if (driven(phase)) return null;
  if (kind === 'remove') return `nothing is removed in phase ${phase}`;
  return frozenReason(state, epochMs) ?? policyReason(state, request, epochMs);
}

function frozenReason(state: State, epochMs: number): string | null {
  const { local, node, global } = frozenOf(state, epochMs);
  if (local) return `frozen on this host: ${state.memory.freeze?.reason ?? ''}`;
  if (node) return 'this node is frozen';
  return global ? 'all nodes are frozen' : null;
}

/**
 * A new spec is its user's consent. A plan with a hash was approved by a person, whose word is worth
 * more than policy and counters (core/repair/decide.ts); freeze it can't lift.
 */
function policyReason(state: State, { fence }: ReconcileRequest, epochMs: number): string | null {
  const { accepted, memory } = state;
  if (accepted === null || fence.planHash !== null) return null;
  if (memory.incident?.cause === 'spec') return null;
  const { policy, budget } = accepted.spec.repair;
  if (policy === 'report') return 'the policy is to report only';
  if (policy === 'propose') return 'the policy asks for approval';
  const { used } = usage(memory.repairs, budget.perMs, epochMs);
  if (memory.incident === null || used < budget.attempts) return null;
  return `the budget of ${budget.attempts} repairs in ${budget.perMs / 1000} s is used up`;
}
