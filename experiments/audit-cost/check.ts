/** Whether what was measured is evidence at all; the claims are held against it in `figures.ts`. */
import { activitiesOf } from './figures';
import type { Audit, AuditCost } from './measure';

/** What is wrong, in sentences; empty: the figures mean something. */
export function check(costs: readonly AuditCost[]): string[] {
  if (costs.length === 0) return ['nothing was measured'];
  return costs.flatMap((cost) => {
    const complain = (text: string): string => `${cost.nodes} nodes: ${text}`;
    return [...checkRest(cost), ...checkAudits(cost)].map(complain);
  });
}

const checkRest = ({ rest }: AuditCost): string[] =>
  rest.seconds > 0 ? [] : ['rest was not watched'];

function checkAudits({ audits, nodes }: AuditCost): string[] {
  const [last, ...healthy] = [...audits].reverse();
  if (!last || healthy.length === 0) return ['there was no audit, or none with something to find'];
  const problems = audits.flatMap((audit) => checkAudit(audit, nodes));
  const found = healthy.some(({ differing }) => differing > 0);
  if (found) problems.push('an audit of healthy nodes found a difference');
  if (last.differing !== 1) problems.push(`one node differed, ${last.differing} were found`);
  return problems;
}

function checkAudit(audit: Audit, nodes: number): string[] {
  const problems: string[] = [];
  if (audit.checked !== nodes) problems.push(`an audit looked at ${audit.checked} of them`);
  if (audit.unaudited > 0) problems.push(`${audit.unaudited} shards were not audited`);
  if (activitiesOf(audit) === 0) problems.push('no activity is in the history of an audit');
  return problems;
}
