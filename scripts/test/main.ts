/**
 * `make test`: every tier that this machine can run, and one closing line
 * `N passed, N failed, N skipped`.
 *
 * usage: main.js [--tier NAME[,NAME]] [--only PATTERN]
 *
 * Exit status: 0 all passed, 1 something failed, left something behind, or nothing ran at all.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { printFile, printRunning, printSummary, printTier } from './print';
import { type FileResult, failure, skipped } from './results';
import { killRunning, runTestFile } from './run-file';
import { checks, runCheck } from './static';
import { type Tier, mannerOf, root, testFiles, tiers } from './tiers';

interface Job {
  file: string;
  run: () => Promise<FileResult>;
}

/** A tier's jobs for this run; `skip` says why none of them can run here. */
interface Batch {
  name: string;
  atOnce: number;
  skip: string | null;
  jobs: Job[];
}

const sizeOf = (file: string): number => statSync(join(root, file)).size;

function batchOf(tier: Tier, files: readonly string[]): Batch {
  const jobs = files
    .filter((file) => tier.takes(file))
    // Long files tend to run long: begun last, one of them would run alone at the end.
    .sort((a, b) => sizeOf(b) - sizeOf(a))
    .map((file) => ({ file, run: () => runTestFile(file, mannerOf(tier)) }));
  const skip = tier.needs.map((need) => need()).find((why) => why !== null) ?? null;
  return { name: tier.name, atOnce: tier.atOnce, skip, jobs };
}

function plan(only: RegExp, names: readonly string[] | null): Batch[] {
  const statics = checks()
    .filter((check) => only.test(`static ${check.name}`))
    .map((check) => ({ file: check.name, run: () => runCheck(check) }));
  const files = testFiles().filter((file) => only.test(file));
  return [
    { name: 'static', atOnce: 2, skip: null, jobs: statics },
    ...tiers.map((tier) => batchOf(tier, files)),
  ].filter((batch) => batch.jobs.length > 0 && (names === null || names.includes(batch.name)));
}

/** How often a tier says what it is waiting for. */
const HEARTBEAT_MS = 30_000;

async function runBatch(batch: Batch): Promise<FileResult[]> {
  printTier(batch.name, batch.jobs.length, batch.skip);
  const { skip } = batch;
  if (skip !== null) return batch.jobs.map((job) => skipped(job.file, skip));
  const waiting = [...batch.jobs];
  const running = new Map<string, number>();
  const heart = setInterval(() => printRunning(running), HEARTBEAT_MS);
  const results: FileResult[] = [];
  const worker = async (): Promise<void> => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
      running.set(job.file, Date.now());
      const result = await job.run();
      running.delete(job.file);
      printFile(result);
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: batch.atOnce }, worker));
  clearInterval(heart);
  return results;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { tier: { type: 'string' }, only: { type: 'string', default: '' } },
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      killRunning();
      process.exit(1);
    });
  }
  const results: FileResult[] = [];
  for (const batch of plan(new RegExp(values.only ?? ''), values.tier?.split(',') ?? null)) {
    results.push(...(await runBatch(batch)));
  }
  if (results.length === 0) {
    const nothing = failure('runs something', 'no test fits what was asked for');
    results.push({ file: 'make test', tests: [nothing], durationMs: 0, output: '' });
  }
  process.exitCode = printSummary(results) ? 0 : 1;
}

main().catch((error: unknown) => {
  killRunning();
  console.error(error);
  process.exitCode = 1;
});
