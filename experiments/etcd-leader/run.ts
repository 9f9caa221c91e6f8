/** By hand: `node dist/experiments/etcd-leader/run.js [--smoke] [--runs N] [--out FILE]`. */
import { fewer } from '../common/experiment';
import { FULL, SMOKE, measure } from './measure';

fewer('etcd-leader', 'runs', async ({ smoke, count }) => ({
  figures: await measure(smoke ? SMOKE : { ...FULL, writes: count ?? FULL.writes }),
}));
