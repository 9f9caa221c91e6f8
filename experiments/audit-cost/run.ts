/**
 * `node dist/experiments/audit-cost/run.js [--smoke]`: measures, checks, and writes the results beside
 * this file (a smoke run only checks). Exit code 1 where a claim does not hold.
 */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { join } from 'node:path';
import { check } from './check';
import { type AuditCost, measure, type Plan } from './measure';

const FULL: Plan[] = [
  { nodes: 4, restSeconds: 60, audits: 5 },
  { nodes: 1000, restSeconds: 60, audits: 5 },
];
const SMOKE: Plan[] = [{ nodes: 20, restSeconds: 2, audits: 1 }];

const RESULTS = join(__dirname, '../../../experiments/audit-cost/results.json');

async function main(smoke: boolean): Promise<void> {
  const costs: AuditCost[] = [];
  for (const plan of smoke ? SMOKE : FULL) {
    const cost = await measure(plan);
    costs.push(cost);
    console.log(line(cost));
  }
  const problems = check(costs);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  if (smoke) return;
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: cpus().length,
    kernel: release(),
    node: process.version,
    loadAverage: loadavg(),
  };
  const results = { at: new Date().toISOString(), machine, problems, costs };
  writeFileSync(RESULTS, `${JSON.stringify(results, null, 2)}\n`);
}

function line({ nodes, shardsWithNodes, rest, audits }: AuditCost): string {
  const activities = audits.map((audit) =>
    Object.values(audit.activities).reduce((a, b) => a + b, 0),
  );
  const tookMs = audits.map((audit) => audit.tookMs).sort((a, b) => a - b);
  return (
    `${nodes} nodes in ${shardsWithNodes} shards: ${rest.historyEvents} events in ` +
    `${rest.seconds} s of rest; an audit: ${Math.max(...activities)} activities, ` +
    `${tookMs[tookMs.length >> 1]} ms (median of ${tookMs.length})`
  );
}

main(process.argv.includes('--smoke')).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
