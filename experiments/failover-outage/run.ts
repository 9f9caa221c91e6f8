/**
 * By hand: `node dist/experiments/failover-outage/run.js [--smoke] [--runs N] [--out FILE]`; N of each
 * trial instead of seven.
 */
import { fewer } from '../common/experiment';
import { FULL, SMOKE, measure } from './measure';

fewer('failover-outage', 'runs', ({ smoke, count }) =>
  measure(smoke ? SMOKE : { ...FULL, runs: count ?? FULL.runs }),
);
