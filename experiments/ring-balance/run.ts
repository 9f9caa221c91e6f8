/** By hand: `node dist/experiments/ring-balance/run.js [--smoke] [--runs N] [--out FILE]`. */
import { fewer } from '../common/experiment';
import { FULL, measure, SMOKE } from './measure';

fewer('ring-balance', 'runs', async ({ smoke, count }) => ({
  figures: measure(smoke ? SMOKE : { ...FULL, fleets: count ?? FULL.fleets }),
}));
