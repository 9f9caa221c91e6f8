import { fewer } from '../common/experiment';
import { FULL, measure, SMOKE } from './measure';

/** `--runs`: controllers that are killed. */
fewer('edge-scale', 'runs', ({ smoke, count }) =>
  smoke ? measure(SMOKE, true) : measure({ ...FULL, losses: count ?? FULL.losses }, false),
);
