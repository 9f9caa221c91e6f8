/** Decisions for people, and why a difference stands. */
import { formatInstant } from '../model/instant';
import type { Decision, EdgeStatus } from '../model/messages';

const DECIDED: Record<Decision['kind'], string> = {
  repair: 'repairing',
  propose: 'waiting for approval',
  report: 'reported only, by policy',
  frozen: 'frozen: no repair until it is lifted',
  budgetExhausted: 'the repair budget is used up',
  fighting: 'stopped: somebody undoes the repairs',
  conflict: 'stopped: something that is not ours is in the way',
};

/** One sentence: the decision and its facts. */
export function decisionText(decision: Decision): string {
  const text = DECIDED[decision.kind];
  switch (decision.kind) {
    case 'budgetExhausted':
      return `${text} (${decision.attempts} repairs); next at ${formatInstant(decision.nextAtMs)}`;
    case 'fighting':
      return (
        `${text}: "${decision.finding}" came back ${decision.times} times` +
        (decision.suspect === null ? '' : `, last by ${decision.suspect}`)
      );
    case 'conflict':
      return `${text}: "${decision.finding}"`;
    case 'frozen':
      return `${text} (${decision.scope})`;
    default:
      return text;
  }
}

/** Why what differs is not repaired: somebody's freeze, or what was decided of it; null: neither says no. */
export function standsBecause(
  node: string,
  frozen: EdgeStatus['frozen'],
  decided: Pick<EdgeStatus, 'incident' | 'lastDecision'> | null,
): string | null {
  if (frozen.local) return 'it is frozen on its host: aether edge unfreeze';
  if (frozen.node) return `it is frozen: aether unfreeze ${node}`;
  if (frozen.global) return 'all nodes are frozen: aether unfreeze';
  const last = decided?.lastDecision;
  if (last == null || last.incidentId !== decided?.incident) return null;
  const { decision } = last;
  if (decision.kind === 'repair') return null;
  return decision.kind === 'propose'
    ? `it waits for an approval: aether approve ${node} ${decision.planHash}`
    : decisionText(decision);
}
