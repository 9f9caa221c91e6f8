/**
 * The main program of every experiment: `node dist/experiments/<name>/run.js [--smoke] [--out FILE]`.
 *
 * A full run writes its results beside its source, a smoke run only where `--out` says. A missed bar
 * is told, not failed: only an experiment that could not measure ends with another status than 0.
 */
import { parseArgs } from 'node:util';
import { type Figure, lineOf } from './figures';
import { load, machine } from './machine';
import { resultsPath, writeResults } from './results';

/** Takes the samples, in its full form or in one that takes some seconds; leaves nothing behind. */
export type Experiment = (smoke: boolean) => Promise<Figure[]>;

export async function runExperiment(name: string, experiment: Experiment): Promise<void> {
  const { values } = parseArgs({
    options: { smoke: { type: 'boolean', default: false }, out: { type: 'string' } },
  });
  const out = values.out ?? (values.smoke ? null : resultsPath(name));
  const before = load();
  const began = performance.now();
  const figures = await experiment(values.smoke);
  const tookSeconds = Math.round((performance.now() - began) / 1000);
  if (figures.length === 0 || figures.some(({ samples }) => samples.length === 0)) {
    throw new Error(`${name} measured nothing`);
  }
  const at = new Date().toISOString();
  const result = {
    experiment: name,
    at,
    tookSeconds,
    machine: machine(),
    load: { before, after: load() },
    figures,
  };
  if (out !== null) writeResults(out, result);
  for (const figure of figures) console.log(lineOf(figure));
}

/** The end of a `run.ts`. */
export function main(name: string, experiment: Experiment): void {
  runExperiment(name, experiment).catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  });
}
