/**
 * `make soak`: random faults on a lab of its own, for a long time; what grows is found out.
 *
 * usage: soak.js [--minutes N] [--seed N] [--smoke]
 *
 * Exit status: 0 all bars are met, 1 one is not or a fault was not mended in time, 2 usage.
 * A full run writes its results and its claims; with `--minutes`, or `--smoke`, which takes some seconds, nothing is
 * written.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { writeClaims } from './claims';
import { outOf, take } from './common/experiment';
import { isMet } from './common/figures';
import { soak } from './soak/measure';
import { EXPERIMENTS } from './table';

const NAME = 'soak';
const FULL_MINUTES = '30';

function number(text: string, option: string): number {
  const value = Number(text);
  if (value > 0) return value;
  console.error(`--${option} ${text}: wants a number above 0`);
  process.exit(2);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string' },
      seed: { type: 'string', default: String(randomInt(1, 2 ** 31)) },
      smoke: { type: 'boolean', default: false },
    },
  });
  const seed = number(values.seed, 'seed');
  const seconds = values.smoke ? 8 : number(values.minutes ?? FULL_MINUTES, 'minutes') * 60;
  const out = outOf(NAME, undefined, !values.smoke && values.minutes === undefined);
  const size = values.smoke ? { nodes: 1, etcds: 1 } : { nodes: 2, etcds: 3 };
  const snapshotEveryS = values.smoke ? 0 : 15;
  console.log(`${seconds} s of faults by chance; to repeat them: --seed ${seed}`);
  const progress = (line: string): void => console.log(line);
  const results = await take(NAME, out, () =>
    soak({ seconds, seed, ...size, snapshotEveryS, progress }),
  );
  if (out !== null) writeClaims(EXPERIMENTS);
  if (!results.figures.every(isMet)) process.exitCode = 1;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
