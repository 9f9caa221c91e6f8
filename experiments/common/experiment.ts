/**
 * The main program of every experiment: `node dist/experiments/<name>/run.js [--smoke] [--out FILE]`.
 *
 * A full run writes its results beside its source, a smoke run and a shorter one only where `--out` says. A
 * missed bar is told, not failed: only an experiment that could not measure ends with another status than 0.
 */
import { parseArgs } from 'node:util';
import { type Figure, lineOf } from './figures';
import { load, machine } from './machine';
import { type Results, resultsPath, writeResults } from './results';

/** Takes the samples, in its full form or in one that takes some seconds; leaves nothing behind. */
export type Experiment = (smoke: boolean) => Promise<Figure[]>;

/** Where results go: where `--out` says, or beside the source if they are those of the full run, whose figures are claims. */
export const outOf = (name: string, given: string | undefined, isFull: boolean): string | null =>
  given ?? (isFull ? resultsPath(name) : null);

/** Runs it, tells its figures, and writes them to `out` where that is a path. */
export async function take(
  name: string,
  out: string | null,
  run: () => Promise<Pick<Results, 'figures' | 'details'>>,
): Promise<Results> {
  const before = load();
  const began = performance.now();
  const taken = await run();
  if (taken.figures.length === 0 || taken.figures.some(({ samples }) => samples.length === 0)) {
    throw new Error(`${name} measured nothing`);
  }
  const results: Results = {
    experiment: name,
    at: new Date().toISOString(),
    tookSeconds: Math.round((performance.now() - began) / 1000),
    machine: machine(),
    load: { before, after: load() },
    ...taken,
  };
  if (out !== null) writeResults(out, results);
  for (const figure of results.figures) console.log(lineOf(figure));
  return results;
}

/**
 * The end of a `run.ts` whose full form can be made shorter: by `--runs N`, `--minutes N`, or what
 * `unit` is.
 */
export function fewer(
  name: string,
  unit: 'runs' | 'minutes',
  experiment: (form: {
    smoke: boolean;
    count: number | null;
  }) => Promise<Pick<Results, 'figures' | 'details'>>,
): void {
  const { values } = parseArgs({
    options: {
      smoke: { type: 'boolean', default: false },
      out: { type: 'string' },
      [unit]: { type: 'string' },
    },
  });
  const given = values[unit];
  const count = given === undefined ? null : Number(given);
  if (count !== null && !(count > 0)) {
    console.error(`--${unit} takes a number above 0`);
    process.exitCode = 2;
    return;
  }
  const { smoke = false, out } = values as { smoke?: boolean; out?: string };
  const isFull = !smoke && count === null;
  take(name, outOf(name, out, isFull), () => experiment({ smoke, count })).catch(
    (error: unknown) => {
      console.error(error);
      process.exitCode = 1;
    },
  );
}

/** The end of a `run.ts`. */
export function main(name: string, experiment: Experiment): void {
  const { values } = parseArgs({
    options: { smoke: { type: 'boolean', default: false }, out: { type: 'string' } },
  });
  const out = outOf(name, values.out, !values.smoke);
  take(name, out, async () => ({ figures: await experiment(values.smoke) })).catch(
    (error: unknown) => {
      console.error(error);
      process.exitCode = 1;
    },
  );
}
