/** Lives of an agent's filters (job.ts), one after another, each in a process and namespaces of its own. */
import { join } from 'node:path';
import type { Figure } from '../common/figures';
import { inSandbox } from '../common/sandbox';
import type { Life } from './job';

/** The bars are said in MiB, the figures in MB. */
const megabytes = (mib: number): number => Math.floor(mib * 10.48576) / 10;

const FORMS = {
  full: { prefixes: 1_000_000, lives: 7 },
  smoke: { prefixes: 20_000, lives: 1 },
};

/** Why this can't run here; false where it can. */
export const cannotRun = (): string | false => (process.getuid?.() === 0 ? false : 'needs root');

async function live(family: 4 | 6, prefixes: number): Promise<Life> {
  const job = join(__dirname, 'job.js');
  return JSON.parse(await inSandbox(job, [`${family}`, `${prefixes}`], ['--expose-gc'])) as Life;
}

function figuresOf(family: 4 | 6, prefixes: number, lives: readonly Life[]): Figure[] {
  const what = `${prefixes} IPv${family} prefixes`;
  const figure = (
    claim: string,
    unit: string,
    bar: Figure['bar'],
    of: (life: Life) => number | number[],
  ): Figure => ({ claim, unit, bar, samples: lives.flatMap(of), peer: null });
  return [
    figure(
      `A list of ${what} → enforced: CPU time`,
      'ms',
      { measure: 'median', atMost: 1000 },
      (l) => l.loadCpuMs,
    ),
    figure(
      `The same, ${what}: kernel memory`,
      'MB',
      { measure: 'median', atMost: megabytes(110) },
      (l) => l.kernelMb,
    ),
    figure(
      `Another list in its place, ${what}: kernel memory at its peak`,
      'MB',
      { measure: 'median', atMost: megabytes(220) },
      (l) => l.swapPeakMb,
    ),
    figure(
      `Resident memory that the agent grows by, mapped kernel memory included, ${what}`,
      'MB',
      { measure: 'median', atMost: megabytes(100) },
      (l) => l.residentGrowthMb,
    ),
    figure(
      `One prefix blocked beside ${what}, until the maps hold it: p99`,
      'ms',
      { measure: 'p99', atMost: 10 },
      (l) => l.blockMs,
    ),
    figure(
      `Looking whether others have edited ${what}, once a second: CPU time of a look`,
      'ms',
      { measure: 'median', atMost: 5 },
      (l) => l.fullLookMs,
    ),
  ];
}

export async function measure(smoke: boolean): Promise<Figure[]> {
  const refusal = cannotRun();
  if (refusal !== false) throw new Error(`The benchmark can't run: ${refusal}`);
  const { prefixes, lives } = smoke ? FORMS.smoke : FORMS.full;
  const all: Record<4 | 6, Life[]> = { 4: [], 6: [] };
  for (let i = 0; i < lives; i++) {
    for (const family of [4, 6] as const) all[family].push(await live(family, prefixes));
  }
  const empty: Figure = {
    claim:
      'Looking whether others have edited a filter without lists, once a second: CPU time of a look',
    unit: 'ms',
    bar: { measure: 'median', atMost: 1 },
    samples: [...all[4], ...all[6]].map((life) => life.emptyLookMs),
    peer: null,
  };
  return [...figuresOf(4, prefixes, all[4]), ...figuresOf(6, prefixes, all[6]), empty];
}
