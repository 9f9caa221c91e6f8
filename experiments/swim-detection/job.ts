/**
 * Kills and stops members, ours and memberlist's in turns, and notes when the others find out. Runs in a sandbox and
 * prints what was measured as one line of JSON.
 *
 * usage: job.js FORM   (of measure.ts, as JSON)
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Cluster, type Kind, KINDS, type Profile, until } from './cluster';

export interface JobForm {
  runs: number;
  /** Cluster sizes. */
  sizes: readonly number[];
  profiles: readonly Profile[];
  pausesMs: readonly number[];
}

/** One kill: ms until the first of the others, and until all of them knew. */
export interface Kill {
  kind: Kind;
  profile: Profile;
  members: number;
  firstMs: number;
  allMs: number;
}

/** One member that stood still among five. */
export interface Pause {
  kind: Kind;
  profile: Profile;
  pausedMs: number;
  /** Others that took it for dead. */
  deaths: number;
  /** Deaths of those who were there all the time. */
  othersDeaths: number;
}

export interface Measured {
  kills: Kill[];
  pauses: Pause[];
}

/** Probes have found their rhythm; chance decides where in it the kill comes. */
const SETTLE_MS: Readonly<Record<Profile, number>> = { lan: 3_000, fast: 1_500 };
const ROUND_MS: Readonly<Record<Profile, number>> = { lan: 4_000, fast: 1_000 };
const PAUSED_AMONG = 5;
/** What it is blamed for, and what it blames others for, comes within this, and every suspicion has ended. */
const AFTER_PAUSE_MS: Readonly<Record<Profile, number>> = { lan: 6_000, fast: 3_000 };

const chance = (most: number): number => Math.random() * most;

async function kill(kind: Kind, profile: Profile, members: number): Promise<Kill> {
  const cluster = await Cluster.start(kind, profile, members);
  try {
    await delay(SETTLE_MS[profile] + chance(ROUND_MS[profile]));
    const [victim, ...others] = cluster.members;
    if (victim === undefined || !cluster.whole()) throw new Error('The cluster is not whole');
    const atMs = performance.now();
    victim.signal('SIGKILL');
    await until('all know', () => others.every((other) => !other.lists(victim.name)));
    const knew = others.map(({ told }) => {
      const line = told.find(
        ({ event, name, atMs: when }) => event === 'leave' && name === victim.name && when >= atMs,
      );
      return (line?.atMs ?? NaN) - atMs;
    });
    const [firstMs, allMs] = [Math.min(...knew), Math.max(...knew)];
    return { kind, profile, members, firstMs, allMs };
  } finally {
    await cluster.end();
  }
}

/** One cluster stands all pauses, the shortest first; whoever was given up is back before the next. */
async function pauses(kind: Kind, profile: Profile, pausesMs: readonly number[]): Promise<Pause[]> {
  const cluster = await Cluster.start(kind, profile, PAUSED_AMONG);
  const all: Pause[] = [];
  try {
    for (const pausedMs of pausesMs) {
      await until('all list all again', () => cluster.whole());
      await delay(SETTLE_MS[profile] + chance(ROUND_MS[profile]));
      const sleeper = cluster.members[Math.floor(chance(PAUSED_AMONG))];
      if (sleeper === undefined) throw new Error('There is nobody');
      const atMs = performance.now();
      sleeper.signal('SIGSTOP');
      await delay(pausedMs);
      sleeper.signal('SIGCONT');
      await delay(AFTER_PAUSE_MS[profile]);
      const deaths = cluster.count('leave', atMs, (name) => name === sleeper.name);
      const othersDeaths = cluster.count('leave', atMs, (name) => name !== sleeper.name);
      all.push({ kind, profile, pausedMs, deaths, othersDeaths });
    }
    return all;
  } finally {
    await cluster.end();
  }
}

async function job(form: JobForm): Promise<Measured> {
  const measured: Measured = { kills: [], pauses: [] };
  for (let run = 0; run < form.runs; run += 1) {
    for (const profile of form.profiles) {
      for (const members of form.sizes) {
        for (const kind of KINDS) measured.kills.push(await kill(kind, profile, members));
      }
      for (const kind of KINDS) {
        measured.pauses.push(...(await pauses(kind, profile, form.pausesMs)));
      }
    }
  }
  return measured;
}

job(JSON.parse(process.argv[2] ?? '') as JobForm).then(
  (measured) => console.log(JSON.stringify(measured)),
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
