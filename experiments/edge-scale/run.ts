import { fewer } from '../common/experiment';
import { FULL, measure, SMOKE } from './measure';

/** `--edges N`, fewer than all, to see that everything goes: what is claimed is claimed of 2,000. With `--out`. */
const at = process.argv.indexOf('--edges');
const edges = at === -1 ? FULL.edges : Number(process.argv.splice(at, 2)[1]);

/** `--runs`: controllers that are killed. */
fewer('edge-scale', 'runs', ({ smoke, count }) =>
  measure(smoke ? SMOKE : { ...FULL, edges, losses: count ?? FULL.losses }),
);
