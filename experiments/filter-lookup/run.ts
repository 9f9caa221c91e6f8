import { parseArgs } from 'node:util';
import { outOf, take } from '../common/experiment';
import { figuresOf } from './figures';
import { FULL, measureAll, SMOKE } from './measure';
import { tableOf } from './rows';

const NAME = 'filter-lookup';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { smoke: { type: 'boolean', default: false }, out: { type: 'string' } },
  });
  const out = outOf(NAME, values.out, !values.smoke);
  await take(NAME, out, async () => {
    const rows = await measureAll(values.smoke ? SMOKE : FULL);
    console.log(tableOf(rows));
    return { figures: figuresOf(rows), details: rows };
  });
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
