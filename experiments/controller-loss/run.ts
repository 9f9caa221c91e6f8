/** By hand: `node dist/experiments/controller-loss/run.js [--smoke] [--runs N] [--out FILE]`. */
import { fewer } from '../common/experiment';
import { FULL, measure, SMOKE } from './measure';

fewer('controller-loss', 'runs', async ({ smoke, count }) => ({
  figures: await measure(smoke ? SMOKE : { ...FULL, runs: count ?? FULL.runs }),
}));
