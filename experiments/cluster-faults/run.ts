/**
 * By hand: `node dist/experiments/cluster-faults/run.js [--minutes N] [--seed N] [--only FAULT[,FAULT]]
 * [--number N] [--once] [--smoke] [--logs DIRECTORY] [--out FILE]`.
 *
 * `--number`: only that fault of the run that the seed makes, as it was there. `--once`: each fault once, as
 * short as it may be. Exit status: 0 no violation, 1 a violation, or it could not be measured; 2 usage.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { writeClaims } from '../claims';
import { outOf, take } from '../common/experiment';
import { isMet } from '../common/figures';
import { resultsPath } from '../common/results';
import { type Form, measure } from './measure';
import { FAULT_NAMES, type FaultName } from './schedule';
import { EXPERIMENTS } from '../table';

const NAME = 'cluster-faults';

function usage(message: string): never {
  console.error(message);
  process.exit(2);
}

function whole(text: string, option: string): number {
  const value = Number(text);
  return Number.isSafeInteger(value) && value > 0
    ? value
    : usage(`--${option} takes a number above 0`);
}

function named(only: string | undefined): readonly FaultName[] {
  if (only === undefined) return FAULT_NAMES;
  return only.split(',').map((text) => {
    const found = FAULT_NAMES.find((name) => name === text);
    return found ?? usage(`There is no fault ${text}; there are ${FAULT_NAMES.join(', ')}`);
  });
}

function form(): { form: Form; out: string | null } {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string' },
      seed: { type: 'string' },
      only: { type: 'string' },
      number: { type: 'string' },
      once: { type: 'boolean', default: false },
      smoke: { type: 'boolean', default: false },
      logs: { type: 'string' },
      out: { type: 'string' },
    },
  });
  const { minutes, seed, only, number, once, smoke } = values;
  const faults = smoke ? (['controllerKilled', 'gossipUdpCut'] as const) : named(only);
  const partial =
    smoke || once || only !== undefined || number !== undefined || minutes !== undefined;
  return {
    form: {
      seed: seed === undefined ? randomInt(1, 2 ** 31) : whole(seed, 'seed'),
      faults,
      length:
        number !== undefined
          ? { number: whole(number, 'number') }
          : once || smoke
            ? 'once'
            : { minutes: minutes === undefined ? 30 : whole(minutes, 'minutes') },
      logs: values.logs ?? null,
      progress: (line) => console.log(line),
    },
    out: outOf(NAME, values.out, !partial),
  };
}

const { form: wanted, out } = form();
console.log(`To repeat what follows: --seed ${wanted.seed}`);
take(NAME, out, () => measure(wanted)).then(
  ({ figures }) => {
    if (out === resultsPath(NAME)) writeClaims(EXPERIMENTS);
    if (!figures.every(isMet)) process.exitCode = 1;
  },
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
