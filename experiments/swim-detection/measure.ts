/** The job in a sandbox. Needs root. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Figure } from '../common/figures';
import type { Results } from '../common/results';
import { inSandbox } from '../common/sandbox';
import { type Kind, MEMBERLIST, type Profile } from './cluster';
import type { JobForm, Kill, Measured, Pause } from './job';

/** Why this can't run here; false where it can. */
export function cannotRun(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  return existsSync(MEMBERLIST) ? false : '.tools/bin/memberlist is missing: run make setup';
}

export const FULL: JobForm = {
  runs: 7,
  sizes: [5, 20],
  profiles: ['lan', 'fast'],
  pausesMs: [500, 1_000, 2_000, 3_000],
};
export const SMOKE: JobForm = { runs: 1, sizes: [3], profiles: ['fast'], pausesMs: [500] };

/** ms, medians: memberlist's own by `lan` (its figures of a first trial), what a hand-over leaves us by `fast`. */
const BARS_MS: Readonly<Record<Profile, Readonly<Record<number, number>>>> = {
  lan: { 5: 5_900, 20: 7_000 },
  fast: { 3: 1_300, 5: 1_300, 20: 1_700 },
};

/** Up to so long a pause is nobody's death. */
const FORGIVEN_MS: Readonly<Record<Profile, number>> = { lan: 3_000, fast: 1_000 };

const NAMES: Readonly<Record<Profile, string>> = { lan: 'LAN profile', fast: 'fast profile' };
const PEERS: Readonly<Record<Profile, string>> = {
  lan: 'memberlist, LAN',
  fast: 'memberlist, same intervals',
};

function killFigures({ kills }: Measured, profile: Profile, members: number): Figure[] {
  const of = (kind: Kind, what: (kill: Kill) => number): number[] =>
    kills
      .filter((one) => one.kind === kind && one.profile === profile && one.members === members)
      .map((one) => Math.round(what(one)));
  const figure = (who: string, what: (kill: Kill) => number, atMost: number): Figure => ({
    claim: `A killed member of ${members}, ${NAMES[profile]}: until ${who} it for dead`,
    unit: 'ms',
    bar: { measure: 'median', atMost },
    samples: of('ours', what),
    peer: { name: PEERS[profile], samples: of('memberlist', what) },
  });
  const bar = BARS_MS[profile][members] ?? Infinity;
  return [
    figure('the first other one takes', ({ firstMs }) => firstMs, bar),
    figure('all others take', ({ allMs }) => allMs, bar + 500),
  ];
}

function pauseFigures({ pauses }: Measured, profile: Profile): Figure[] {
  const of = (kind: Kind, mostMs: number, what: (pause: Pause) => number): number[] =>
    pauses
      .filter((one) => one.kind === kind && one.profile === profile && one.pausedMs <= mostMs)
      .map(what);
  const figure = (claim: string, mostMs: number, what: (pause: Pause) => number): Figure => ({
    claim: `${claim}, ${NAMES[profile]}`,
    unit: 'deaths',
    bar: { measure: 'max', atMost: 0 },
    samples: of('ours', mostMs, what),
    peer: { name: PEERS[profile], samples: of('memberlist', mostMs, what) },
  });
  const forgivenMs = FORGIVEN_MS[profile];
  return [
    figure(
      `One of 5 processes stands still for up to ${forgivenMs / 1_000} s: others that take it for dead`,
      forgivenMs,
      ({ deaths }) => deaths,
    ),
    figure(
      'One of 5 processes stands still for up to 3 s: deaths of others',
      Infinity,
      ({ othersDeaths }) => othersDeaths,
    ),
  ];
}

export async function measure(form: JobForm): Promise<Pick<Results, 'figures' | 'details'>> {
  const refusal = cannotRun();
  if (refusal !== false) throw new Error(`The experiment can't run: ${refusal}`);
  const printed = await inSandbox(join(__dirname, 'job.js'), [JSON.stringify(form)]);
  const measured = JSON.parse(printed) as Measured;
  const figures = form.profiles.flatMap((profile) => [
    ...form.sizes.flatMap((members) => killFigures(measured, profile, members)),
    ...pauseFigures(measured, profile),
  ]);
  return { figures, details: measured };
}
