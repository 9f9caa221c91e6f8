/** The trials in a sandbox, then what takes a whole Aether; see README.md. Needs root. */
import { join } from 'node:path';
import { cannotRun as cannotRunRouter } from '../../lab/routers';
import { cannotRunLabs } from '../../lab/testing';
import type { Results } from '../common/results';
import { inSandbox } from '../common/sandbox';
import { figuresOf } from './figures';
import type { Measured } from './job';
import { hasProbe } from './probe';
import { figuresOfWhole, wholes } from './whole';

export interface Form {
  runs: number;
  resets: number;
  intervals: number[];
  form: 'full' | 'smoke';
}

/** Each takes a minute. */
const LABS = 3;

export const FULL: Form = { runs: 7, resets: 20, intervals: [300, 100, 50], form: 'full' };
export const SMOKE: Form = { runs: 1, resets: 1, intervals: [100], form: 'smoke' };

/** Why this can't run here; false where it can. */
export function cannotRun(): string | false {
  for (const kind of ['bird', 'frr', 'gobgpd'] as const) {
    const why = cannotRunRouter(kind);
    if (why !== false) return why;
  }
  return hasProbe() ? cannotRunLabs() : '.tools/bin/failover-probe is missing: run make setup';
}

export async function measure({
  runs,
  resets,
  intervals,
  form,
}: Form): Promise<Pick<Results, 'figures' | 'details'>> {
  const refusal = cannotRun();
  if (refusal !== false) throw new Error(`The experiment can't run: ${refusal}`);
  const argv = [String(runs), String(resets), intervals.join(), form];
  const printed = await inSandbox(join(__dirname, 'job.js'), argv);
  const measured = JSON.parse(printed) as Measured;
  const figures = figuresOf(measured);
  if (form === 'full') figures.push(...figuresOfWhole(await wholes(Math.min(runs, LABS))));
  return { figures, details: measured.outages };
}
