/**
 * The trials between one router and its edges, see README.md. Runs in a sandbox and prints what was
 * measured as one line of JSON.
 *
 * usage: job.js RUNS RESETS INTERVAL[,INTERVAL] FORM      FORM: full | smoke
 */
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../../lab/wait';
import { AetherEdge } from './aether';
import { LINKS, SERVICE } from './net';
import type { Fault } from './net';
import { total } from './probe';
import { detections } from './detection';
import { Trial } from './trial';
import type { EdgeKind, Setting } from './trial';

export interface Outage extends Setting {
  run: number;
  fault: Fault;
  lost: number;
}

export interface Measured {
  outages: Outage[];
  /** Packets lost and sessions of the router that came anew, while the bfd process was restarted. */
  bfdRestarts: { lost: number; sessions: number }[];
  /** ms from a silent cut between two Aether edges until the far one has noticed, 10 ms × 3. */
  detections: number[];
  /** ms from a reset by the router's administrator until it has the route again. */
  resets: number[];
}

const ALL_EDGES: readonly EdgeKind[] = ['aether', 'bird', 'frr', 'gobgpd'];
const RESET_WITHIN_MS = 60_000;
const SLOWEST_INTERVAL = 300;

interface Case extends Setting {
  fault: Fault;
}

/** What is measured side by side: the same number of times, in turns. */
function casesOf(intervalMs: number, form: 'full' | 'smoke'): Case[] {
  const silent = (router: Setting['router'], edges: readonly EdgeKind[]): Case[] =>
    edges.map((edge) => ({ router, edge, intervalMs, fault: 'silent' }));
  if (form === 'smoke') return silent('bird', ['aether', 'bird']);
  const cases = silent('bird', ALL_EDGES);
  if (intervalMs !== SLOWEST_INTERVAL) return cases;
  const faults = ['mute', 'deaf', 'carrier'] as const;
  return [
    ...cases,
    ...silent('frr', ALL_EDGES),
    ...faults.flatMap((fault) =>
      (['aether', 'bird'] as const).map((edge): Case => ({
        router: 'bird',
        edge,
        intervalMs,
        fault,
      })),
    ),
  ];
}

/** As many networks come up at once; one after another loses its edge, so that none disturbs another. */
const AT_ONCE = 4;

async function round(cases: readonly Case[], run: number): Promise<Outage[]> {
  const outages: Outage[] = [];
  for (let i = 0; i < cases.length; i += AT_ONCE) {
    const chosen = cases.slice(i, i + AT_ONCE);
    const started = await Promise.allSettled(chosen.map((one) => Trial.start(one)));
    const trials = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    try {
      for (const one of started) if (one.status === 'rejected') throw one.reason;
      for (const [k, { fault, ...setting }] of chosen.entries()) {
        const lost = await trials[k]?.lostBy(fault);
        if (lost !== undefined) outages.push({ ...setting, run, fault, lost });
      }
    } finally {
      await Promise.all(trials.map((trial) => trial.stop()));
    }
  }
  return outages;
}

const sinceOf = async ({ router }: Trial): Promise<string> =>
  (await router.sessions()).map(({ since }) => since).join();

async function restartBfd(trial: Trial): Promise<{ lost: number; sessions: number }> {
  const [edge] = trial.edges;
  if (!(edge instanceof AetherEdge)) throw new Error('Only Aether has a bfd process');
  const before = await sinceOf(trial);
  const lost = await trial.probed(async () => {
    await edge.bfd.restart();
    // Whatever it did to the sessions would show after one more detection time.
    await delay(2 * SLOWEST_INTERVAL * 3);
  });
  return { lost: total(lost), sessions: (await sinceOf(trial)) === before ? 0 : 1 };
}

/** Until the router has the first edge's route again, by a session that came up anew. */
async function reset({ router }: Trial): Promise<number> {
  const [{ edge }] = LINKS;
  const since = async (): Promise<string> =>
    (await router.sessions()).find(({ address }) => address === edge)?.since ?? '';
  const before = await since();
  const began = performance.now();
  await router.reset(edge);
  const isBack = async (): Promise<boolean> => {
    const now = await since();
    if (now === '' || now === before) return false;
    return (await router.routes(`${SERVICE}/32`)).some(({ nextHop }) => nextHop === edge);
  };
  await eventually('it is back', isBack, { within: RESET_WITHIN_MS, every: 10 });
  return performance.now() - began;
}

async function planned(
  runs: number,
  resets: number,
): Promise<Pick<Measured, 'bfdRestarts' | 'resets'>> {
  const trial = await Trial.start({ router: 'bird', edge: 'aether', intervalMs: SLOWEST_INTERVAL });
  const measured: Pick<Measured, 'bfdRestarts' | 'resets'> = { bfdRestarts: [], resets: [] };
  try {
    for (let i = 0; i < runs; i++) measured.bfdRestarts.push(await restartBfd(trial));
    for (let i = 0; i < resets; i++) measured.resets.push(await reset(trial));
  } finally {
    await trial.stop();
  }
  return measured;
}

async function main([runs = '1', resets = '1', intervals = '', form = 'smoke']: string[]) {
  const outages: Outage[] = [];
  for (let run = 0; run < Number(runs); run++) {
    for (const intervalMs of intervals.split(',').map(Number)) {
      const cases = casesOf(intervalMs, form === 'full' ? 'full' : 'smoke');
      outages.push(...(await round(cases, run)));
      console.error(`run ${run + 1}, ${intervalMs} ms × 3`);
    }
  }
  const measured: Measured = {
    outages,
    detections: await detections(Number(runs)),
    ...(await planned(Number(runs), Number(resets))),
  };
  console.log(JSON.stringify(measured));
}

if (require.main === module) {
  main(process.argv.slice(2)).catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  });
}
