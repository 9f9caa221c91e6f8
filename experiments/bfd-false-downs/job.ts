/**
 * Sessions that shall stay up beside what keeps the host busy, see README.md. Runs in a sandbox and prints
 * what was measured as one line of JSON.
 *
 * usage: job.js SECONDS SESSIONS
 */
import { setTimeout as delay } from 'node:timers/promises';
import { BfdWorker, plainLease, plainSession } from '../common/bfd';
import { makePair, pairAddresses, removePair } from '../common/pair';
import { cpuMs } from '../common/process';
import { startLoad } from './load';
import type { LoadName } from './load';
import { watchBird, watchEdges, watchRouter } from './watch';
import type { Downs, Watched } from './watch';

const LOADS: readonly LoadName[] = ['busy', 'compiler'];
const LOOK_EVERY_MS = 500;
const MANY = { intervalMs: 300, multiplier: 3 } as const;
const AT_REST_MS = 30_000;
const AT_REST_SMOKE_MS = 2_000;

export interface Watch extends Downs {
  load: LoadName;
  name: string;
}

export interface Measured {
  watches: Watch[];
  /** Of each bfd process with many sessions, % of a core. */
  cpuPercent: number[];
}

async function beside(load: LoadName, all: readonly Watched[], seconds: number): Promise<Watch[]> {
  const sums = all.map(({ name }): Watch => ({ load, name, here: 0, there: 0 }));
  const count = async (): Promise<void> => {
    await Promise.all(
      all.map(async (one, i) => {
        const { here, there } = await one.look();
        const sum = sums[i];
        if (sum === undefined) return;
        sum.here += here;
        sum.there += there;
      }),
    );
  };
  await Promise.all(all.map((one) => one.look())); // What came before does not count.
  const running = await startLoad(load);
  const until = performance.now() + seconds * 1_000;
  try {
    while (performance.now() < until) {
      await delay(LOOK_EVERY_MS);
      await count();
    }
  } finally {
    await running.stop();
  }
  await delay(LOOK_EVERY_MS);
  await count();
  return sums;
}

async function watches(seconds: number): Promise<Watch[]> {
  const all: Watched[] = [];
  try {
    // One after another: none shall come up beside the others' start.
    for (const start of [
      watchEdges,
      () => watchRouter('bird'),
      () => watchRouter('frr'),
      watchBird,
    ]) {
      all.push(await start());
    }
    const found: Watch[] = [];
    for (const load of LOADS) {
      console.error(`${load}: ${seconds} s`);
      found.push(...(await beside(load, all, seconds)));
    }
    return found;
  } finally {
    await Promise.all(all.map((one) => one.stop()));
  }
}

/** CPU of two bfd processes that keep so many sessions between them. */
async function manySessions(count: number, restMs: number): Promise<number[]> {
  const ends = await makePair('many', count);
  const workers = ends.map((end) => new BfdWorker(end));
  try {
    for (const [i, worker] of workers.entries()) {
      const sessions = Array.from({ length: count }, (_, k) => {
        const addresses = pairAddresses(k);
        return plainSession(addresses[1 - i] ?? '', MANY, { local: addresses[i] ?? null });
      });
      worker.lease(plainLease(65_001, { paths: [], sessions }));
    }
    await Promise.all(workers.map((worker) => worker.up(count, MANY.intervalMs)));
    const before = workers.map(({ pid }) => cpuMs(pid));
    const began = performance.now();
    await delay(restMs);
    const tookMs = performance.now() - began;
    return workers.map(({ pid }, i) => ((cpuMs(pid) - (before[i] ?? 0)) / tookMs) * 100);
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
    await removePair(ends);
  }
}

async function main([seconds = '1', sessions = '1', form = 'smoke']: string[]): Promise<void> {
  const restMs = form === 'full' ? AT_REST_MS : AT_REST_SMOKE_MS;
  const measured: Measured = {
    cpuPercent: await manySessions(Number(sessions), restMs),
    watches: await watches(Number(seconds)),
  };
  console.log(JSON.stringify(measured));
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
