/**
 * The audit, by hand: `node dist/experiments/filter-audit/run.js [--quick|--smoke] [--fresh] [--out FILE]`.
 *
 * Exit status: 0 all was measured, whether or not the bars are met; 1 it broke, or evidence is missing;
 * 2 usage. With `--check` nothing is measured: what the last full run has seen is judged again, and
 * the status is 1 also where a bar is missed.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync, gzipSync } from 'node:zlib';
import { take } from '../common/experiment';
import { isMet, lineOf } from '../common/figures';
import { EXPERIMENTS_DIRECTORY, resultsPath } from '../common/results';
import { check, type Verdict } from './check';
import { programDigest } from './environment';
import type { Evidence } from './evidence';
import { SMOKE_CLAIM } from './figures';
import { measure } from './measure';
import type { Plan } from './plan';
import { toHtml } from './report/html';
import { tablesOf, toText } from './report/tables';

const NAME = 'filter-audit';
/** Where an audit that was broken off goes on. */
const LEDGER = join(EXPERIMENTS_DIRECTORY, '../.tools/filter-audit/ledger.jsonl');
/** A quick audit bears out nothing: what it has seen is not committed. */
const QUICK = join(EXPERIMENTS_DIRECTORY, '../.tools/filter-audit');
const SAMPLES = join(dirname(resultsPath(NAME)), 'samples.json.gz');

function tell(evidence: Evidence, { problems }: Verdict): void {
  for (const table of tablesOf(evidence)) console.log(`\n${toText(table)}`);
  if (problems.length > 0)
    console.log(`\nWhat is wrong with the evidence:\n  ${problems.join('\n  ')}`);
  console.log('');
}

/** Raw samples and report, beside the figures. */
function write(directory: string, evidence: Evidence, verdict: Verdict): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'samples.json.gz'), gzipSync(JSON.stringify(evidence)));
  writeFileSync(join(directory, 'report.html'), toHtml(evidence, verdict));
  console.log(`Report: ${join(directory, 'report.html')}`);
}

async function run(plan: Plan['name'], fresh: boolean, out: string | null): Promise<void> {
  const ledger = plan === 'smoke' ? null : LEDGER;
  if (fresh) rmSync(LEDGER, { force: true });
  const directory = dirname(resolve(out ?? '.'));
  await take(NAME, out, async () => {
    const evidence = await measure(plan, ledger);
    if (plan === 'smoke') return { figures: [SMOKE_CLAIM(evidence)] };
    const verdict = check(evidence, programDigest());
    tell(evidence, verdict);
    write(directory, evidence, verdict);
    const { problems, figures } = verdict;
    if (plan === 'full' && problems.length > 0) throw new Error(problems.join('\n'));
    return { figures, details: { plan, environment: evidence.environment, load: evidence.load } };
  });
}

/** What the last full run has seen, judged again. */
function recheck(): void {
  const evidence = JSON.parse(gunzipSync(readFileSync(SAMPLES)).toString()) as Evidence;
  const { figures, problems } = check(evidence, programDigest());
  for (const figure of figures) console.log(lineOf(figure));
  for (const problem of problems) console.log(`✘ ${problem}`);
  if (problems.length > 0 || !figures.every(isMet)) process.exitCode = 1;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      smoke: { type: 'boolean', default: false },
      fresh: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      out: { type: 'string' },
    },
  });
  if (values.check) return recheck();
  const plan = values.smoke ? 'smoke' : values.quick ? 'quick' : 'full';
  const results = { full: resultsPath(NAME), quick: join(QUICK, 'figures.json'), smoke: null };
  await run(plan, values.fresh, values.out ?? results[plan]);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
