/** By hand: `node dist/experiments/swim-detection/run.js [--smoke] [--runs N] [--out FILE]`; N instead of seven. */
import { fewer } from '../common/experiment';
import { FULL, measure, SMOKE } from './measure';

fewer('swim-detection', 'runs', ({ smoke, count }) =>
  measure(smoke ? SMOKE : { ...FULL, runs: count ?? FULL.runs }),
);
