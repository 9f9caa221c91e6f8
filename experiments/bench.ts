/**
 * `make bench`: the full form of every experiment, one after another, each in a process of its own.
 *
 * usage: bench.js [--only NAME[,NAME]] [--smoke] [--runs N] [--minutes N]
 *
 * Exit status: 0 all have measured, whether or not their bars are met; 1 one of them broke; 2 usage.
 * `--runs` and `--minutes` are handed on to those of the chosen ones that know them (table.ts): these write
 * nothing then, since what is claimed is claimed of a full run. `--smoke` takes seconds instead of minutes and
 * writes nothing: its figures mean nothing.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeClaims } from './claims';
import { outOf } from './common/experiment';
import { isMet, lineOf } from './common/figures';
import type { Machine } from './common/machine';
import { type Results, readResults } from './common/results';
import { type Declared, EXPERIMENTS, type Less, lessOf } from './table';

function chosen(only: string | undefined): Declared[] {
  const all = EXPERIMENTS.filter(({ bench }) => bench);
  if (only === undefined) return all;
  return only.split(',').map((wanted) => {
    const found = all.find(({ name }) => name === wanted);
    if (found !== undefined) return found;
    const names = all.map(({ name }) => name).join(', ');
    console.error(`There is no experiment ${wanted}; there are ${names}`);
    process.exit(2);
  });
}

/** Null where the experiment broke. */
async function measure(declared: Declared, wanted: Less, scratch: string): Promise<Results | null> {
  const { name } = declared;
  const less = lessOf(declared, wanted);
  const out = outOf(name, undefined, less.length === 0) ?? join(scratch, `${name}.json`);
  const argv = [join(__dirname, name, 'run.js'), '--out', out, ...less];
  const child = spawn(process.execPath, ['--enable-source-maps', ...argv], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [status] = (await once(child, 'exit')) as [number | null];
  return status === 0 ? readResults(out) : null;
}

const machineLine = ({ cpu, cores, memoryGiB, kernel, node }: Machine): string =>
  `${cpu}, ${cores} cores, ${memoryGiB} GiB, Linux ${kernel}, Node ${node}`;

function summary(all: readonly Results[], broken: readonly string[]): string {
  const figures = all.flatMap((results) => results.figures);
  const [first] = all;
  const met = figures.filter(isMet).length;
  return [
    ...all.flatMap(({ experiment, load, figures: its }) => [
      `\n${experiment} (load ${load.before} before, ${load.after} after)`,
      ...its.map(lineOf),
    ]),
    '',
    first === undefined ? '' : machineLine(first.machine),
    ...broken.map((name) => `${name} broke: what it said is above`),
    `${met} of ${figures.length} figures meet their bar${broken.length > 0 ? `, ${broken.length} experiments broke` : ''}`,
  ].join('\n');
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      smoke: { type: 'boolean', default: false },
      runs: { type: 'string' },
      minutes: { type: 'string' },
    },
  });
  const scratch = mkdtempSync(join(tmpdir(), 'aether-bench-'));
  const all: Results[] = [];
  const broken: string[] = [];
  try {
    for (const declared of chosen(values.only)) {
      const short = lessOf(declared, values).join(' ');
      console.log(`\n── ${declared.name} ${short === '' ? '' : `${short}: no claim `}──`);
      const results = await measure(declared, values, scratch);
      if (results === null) broken.push(declared.name);
      else all.push(results);
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  if (!values.smoke) writeClaims(EXPERIMENTS);
  console.log(summary(all, broken));
  process.exitCode = broken.length > 0 ? 1 : 0;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
