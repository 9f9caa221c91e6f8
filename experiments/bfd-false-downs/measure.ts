/** The job in a sandbox. Needs root. */
import { join } from 'node:path';
import type { Figure } from '../common/figures';
import type { Results } from '../common/results';
import { inSandbox } from '../common/sandbox';
import { cannotRun } from '../failover-outage/measure';
import type { Measured, Watch } from './job';
import type { LoadName } from './load';
import { AMONG_EDGES, WITH_ROUTERS_MS } from './watch';

export { cannotRun };

export interface Form {
  /** Beside each of the two loads. */
  seconds: number;
  sessions: number;
  form: 'full' | 'smoke';
}

export const FULL_MINUTES = 10;
export const full = (minutes: number): Form => ({
  seconds: minutes * 60,
  sessions: 200,
  form: 'full',
});
export const SMOKE: Form = { seconds: 3, sessions: 20, form: 'smoke' };

const CPU_PERCENT = 5;
const SAID: Readonly<Record<Exclude<LoadName, 'none'>, string>> = {
  busy: '20 busy processes',
  compiler: 'compilers and packet floods',
};

function figuresOf({ watches, cpuPercent }: Measured, form: Form): Figure[] {
  const lasted = `${Math.round(form.seconds / 6) / 10} minutes`;
  const of = (load: LoadName, name: string): number[] => {
    const found = watches.find((one: Watch) => one.load === load && one.name === name);
    return found === undefined ? [] : [found.here, found.there];
  };
  const bar = { measure: 'max', atMost: 0 } as const;
  const unit = 'downs of a side';
  const loads = ['busy', 'compiler'] as const;
  const figures = loads.flatMap((load): Figure[] => [
    {
      claim: `Two Aether edges, BFD ${AMONG_EDGES.intervalMs} ms × 3, ${lasted} beside ${SAID[load]}: sessions lost`,
      unit,
      bar,
      samples: of(load, 'two Aether edges'),
      peer: null,
    },
    ...(['bird', 'frr'] as const).map((router): Figure => ({
      claim: `Two Aether edges and ${router === 'bird' ? 'BIRD' : 'FRR'}, BFD ${WITH_ROUTERS_MS} ms × 3, ${lasted} beside ${SAID[load]}: sessions lost`,
      unit,
      bar,
      samples: of(load, `Aether and ${router}`),
      peer:
        router === 'bird' ? { name: 'BIRD as the edge', samples: of(load, 'BIRD and bird') } : null,
    })),
  ]);
  return [
    ...figures,
    {
      claim: `A bfd process with ${form.sessions} sessions at 300 ms × 3: CPU`,
      unit: '%',
      bar: { measure: 'max', atMost: CPU_PERCENT },
      samples: cpuPercent,
      peer: null,
    },
  ];
}

export async function measure(form: Form): Promise<Pick<Results, 'figures' | 'details'>> {
  const refusal = cannotRun();
  if (refusal !== false) throw new Error(`The experiment can't run: ${refusal}`);
  const argv = [String(form.seconds), String(form.sessions), form.form];
  const measured = JSON.parse(await inSandbox(join(__dirname, 'job.js'), argv)) as Measured;
  return { figures: figuresOf(measured, form), details: measured.watches };
}
