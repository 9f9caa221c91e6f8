/** How soon an Aether edge notices that the way to another one is cut: two bfd processes at 10 ms × 3. */
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../../lab/wait';
import { BfdWorker, plainLease, plainSession } from '../common/bfd';
import { DEVICE, makePair, pairAddresses, removePair } from '../common/pair';
import { PORT, dropOn } from './net';
import { Echo, Probe } from './probe';

const TIMERS = { intervalMs: 10, multiplier: 3 } as const;
const NOTICED_WITHIN_MS = 5_000;

const within = (namespace: string): string[] => ['ip', 'netns', 'exec', namespace];

/**
 * ms from the first packet that was lost (sent once a millisecond) to the change of state, as the bfd
 * process that is not heard from any more has noted it.
 */
async function detect([a, b]: readonly [string, string]): Promise<number> {
  const [addressA, addressB] = pairAddresses(0);
  const workers = [new BfdWorker(a), new BfdWorker(b)] as const;
  const echo = await Echo.start(within(b), addressB, PORT, 'b');
  try {
    for (const [i, worker] of workers.entries()) {
      const sessions = [plainSession([addressB, addressA][i] ?? '', TIMERS)];
      worker.lease(plainLease(65_001, { paths: [], sessions }));
    }
    await Promise.all(workers.map((worker) => worker.up(1, TIMERS.intervalMs)));
    const probe = new Probe(within(a), addressB, PORT);
    await probe.answeredBy('b', NOTICED_WITHIN_MS);
    await delay(200 + Math.random() * TIMERS.intervalMs);
    await dropOn(a, DEVICE, ['ingress', 'egress']);
    const noticed = async (): Promise<number | null> => {
      const [session] = (await workers[1].look()).sessions;
      return session?.state === 'up' ? null : (session?.sinceMs ?? null);
    };
    const noticedMs = await eventually('it has noticed', noticed, { within: NOTICED_WITHIN_MS });
    const { beganMs, lost } = await probe.stop();
    const last = lost.at(-1)?.[0];
    if (last === undefined) throw new Error('No packet was lost: the cut was none');
    return noticedMs - (beganMs + last + 1);
  } finally {
    await Promise.all([echo.stop(), ...workers.map((worker) => worker.stop())]);
  }
}

export async function detections(runs: number): Promise<number[]> {
  const samples: number[] = [];
  for (let i = 0; i < runs; i++) {
    const ends = await makePair(`de${i}`);
    try {
      samples.push(await detect(ends));
    } finally {
      await removePair(ends);
    }
  }
  return samples;
}
