import { main } from '../common/experiment';
import { check } from './check';
import { figuresOf } from './figures';
import { type AuditCost, measure, type Plan } from './measure';

const FULL: Plan[] = [
  { nodes: 4, restSeconds: 60, audits: 5 },
  { nodes: 1000, restSeconds: 60, audits: 5 },
];
const SMOKE: Plan[] = [{ nodes: 20, restSeconds: 2, audits: 1 }];

main('audit-cost', async (smoke) => {
  const costs: AuditCost[] = [];
  for (const plan of smoke ? SMOKE : FULL) costs.push(await measure(plan));
  const problems = check(costs);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return figuresOf(costs);
});
