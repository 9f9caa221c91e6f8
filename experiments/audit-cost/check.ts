/** Whether what was measured bears out what is claimed; missing evidence is a failure. */
import type { Audit, AuditCost } from './measure';

/** What is wrong, in sentences; empty: the claims hold. */
export function check(costs: readonly AuditCost[]): string[] {
  if (costs.length === 0) return ['nothing was measured'];
  return costs.flatMap((cost) => {
    const complain = (text: string): string => `${cost.nodes} nodes: ${text}`;
    return [...checkRest(cost), ...checkAudits(cost)].map(complain);
  });
}

function checkRest({ rest }: AuditCost): string[] {
  if (!(rest.seconds > 0)) return ['rest was not watched'];
  const { workflowsStarted, historyEvents } = rest;
  if (workflowsStarted === 0 && historyEvents === 0) return [];
  return [`${workflowsStarted} workflows and ${historyEvents} events while nothing happened`];
}

function checkAudits({ audits, nodes, shardsWithNodes }: AuditCost): string[] {
  const [last, ...healthy] = [...audits].reverse();
  if (!last || healthy.length === 0) return ['there was no audit, or none with something to find'];
  const problems = audits.flatMap((audit) => checkAudit(audit, nodes, shardsWithNodes));
  const found = healthy.some(({ differing }) => differing > 0);
  if (found) problems.push('an audit of healthy nodes found a difference');
  if (last.differing !== 1) problems.push(`one node differed, ${last.differing} were found`);
  return problems;
}

function checkAudit(audit: Audit, nodes: number, shards: number): string[] {
  const problems: string[] = [];
  if (audit.checked !== nodes) problems.push(`an audit looked at ${audit.checked} of them`);
  if (audit.unaudited > 0) problems.push(`${audit.unaudited} shards were not audited`);
  const count = Object.values(audit.activities).reduce((sum, n) => sum + n, 0);
  if (count > shards) problems.push(`${count} activities for ${shards} shards with nodes`);
  if (count === 0) problems.push('no activity is in the history of an audit');
  return problems;
}
