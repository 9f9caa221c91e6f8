/**
 * By hand: `node dist/experiments/bfd-false-downs/run.js [--smoke] [--minutes N] [--out FILE]`; N minutes
 * beside each load instead of ten.
 */
import { fewer } from '../common/experiment';
import { FULL_MINUTES, SMOKE, full, measure } from './measure';

fewer('bfd-false-downs', 'minutes', ({ smoke, count }) =>
  measure(smoke ? SMOKE : full(count ?? FULL_MINUTES)),
);
