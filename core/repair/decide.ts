/** What to do about a drift: a function of the report, the approvals and the time (decision 0002). */
import type { Decision, DriftReport } from '../model/messages';
import { findingKey } from '../plan/types';

/** A finding that came back this often within the budget's window is somebody's doing. */
export const FIGHTING_TIMES = 3;

/** A person agreed to exactly this plan. Good for one repair: the caller drops it once it is used. */
export interface Approval {
  planHash: string;
  by: string;
}

type Rule = (report: DriftReport, approvals: readonly Approval[], nowMs: number) => Decision | null;

const frozen: Rule = ({ frozen: at }) => {
  if (at.global) return { kind: 'frozen', scope: 'global' };
  return at.node || at.local ? { kind: 'frozen', scope: 'node' } : null;
};

/** Nothing to do but what would touch foreign objects. */
const conflictOnly: Rule = ({ findings }) => {
  const [first] = findings;
  if (first === undefined || findings.some(({ conflict }) => !conflict)) return null;
  return { kind: 'conflict', finding: findingKey(first) };
};

/** A new spec was applied by its user: that is the consent, and no attempt against a drift. */
const applied: Rule = ({ cause }) => (cause === 'spec' ? { kind: 'repair' } : null);

/** A person's word on this very plan is worth more than policy and counters; freeze it can't lift. */
const approved: Rule = ({ planHash }, approvals) =>
  approvals.some((approval) => approval.planHash === planHash) ? { kind: 'repair' } : null;

const fighting: Rule = ({ recurring, suspect }) => {
  if (recurring === null || recurring.times < FIGHTING_TIMES) return null;
  return { kind: 'fighting', finding: recurring.finding, times: recurring.times, suspect };
};

const reportOnly: Rule = ({ policy }) => (policy.policy === 'report' ? { kind: 'report' } : null);

const propose: Rule = ({ policy, planHash }) =>
  policy.policy === 'propose' ? { kind: 'propose', planHash } : null;

const overBudget: Rule = ({ policy, budget }, _approvals, nowMs) => {
  const { attempts } = policy.budget;
  if (budget.used < attempts || (budget.freesAtMs !== null && budget.freesAtMs <= nowMs))
    return null;
  return { kind: 'budgetExhausted', attempts, nextAtMs: budget.freesAtMs ?? nowMs };
};

/** In order; the first that has something to say decides. */
const RULES: readonly Rule[] = [
  frozen,
  conflictOnly,
  applied,
  approved,
  fighting,
  reportOnly,
  propose,
  overBudget,
];

/** The agent, which knows no approvals, passes none. `nowMs`: epoch ms. */
export const decide = (
  report: DriftReport,
  approvals: readonly Approval[],
  nowMs: number,
): Decision => {
  for (const rule of RULES) {
    const decision = rule(report, approvals, nowMs);
    if (decision !== null) return decision;
  }
  return { kind: 'repair' };
};
