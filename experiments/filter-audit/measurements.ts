/** The two things that are done to a receiver: a flood for its cost, and a flood beside honest traffic. */
import { setTimeout as delay } from 'node:timers/promises';
import { countersOf, since, type Counters } from './counters';
import type { Cell, CostSample, FloodSample } from './evidence';
import type { Kind } from './filters/filter';
import { floodOf, FRAMES_MAX, type Generator } from './generator';
import { Service, tcp, udp } from './legit';
import type { Plan } from './plan';
import type { Receiver, Topology } from './topology';

export interface Bench {
  topology: Topology;
  generator: Generator;
}

const DRAIN_LOOK_MS = 20;
const DRAIN_DEADLINE_MS = 5_000;
const FLOOD_SETTLES_MS = 200;
/** Processes to start, a connection, stragglers: how much longer a flood lasts than what is seen. */
const FLOOD_SPARE_S = 12;

/** When the queue is empty: nothing has been received between two looks. */
async function drained(receiver: Receiver): Promise<Counters> {
  const end = performance.now() + DRAIN_DEADLINE_MS;
  let before = countersOf(receiver);
  while (performance.now() < end) {
    await delay(DRAIN_LOOK_MS);
    const now = countersOf(receiver);
    if (now.received === before.received) return now;
    before = now;
  }
  throw new Error(`The queue of ${receiver.device} does not run dry`);
}

export async function measureCost(
  { generator }: Bench,
  receiver: Receiver,
  { filter, entries }: Cell,
  flood: { kind: Kind; round: number; frames: number; sourcesPath: string },
): Promise<CostSample> {
  const before = countersOf(receiver);
  const { frames, sourcesPath } = flood;
  const sent = await generator.send(floodOf(receiver, { frames, sourcesPath, gapNs: 0 }));
  const { received, passed, checksumErrors, cpuNs, waitNs } = since(
    before,
    await drained(receiver),
  );
  const { kind, round } = flood;
  const seen = { sent: sent.frames, received, passed, checksumErrors, cpuNs, waitNs };
  return { filter, entries, round, kind, ...seen };
}

/** Honest UDP, then honest TCP, while `kpps` frames a millisecond try to get into the same queue. */
export async function measureFlood(
  { topology, generator }: Bench,
  receiver: Receiver,
  { filter, entries }: Cell,
  {
    round,
    kpps,
    sourcesPath,
    plan,
  }: { round: number; kpps: number; sourcesPath: string; plan: Plan },
): Promise<FloodSample> {
  const seconds = plan.udpSeconds + plan.tcpSeconds;
  const service = await Service.start(receiver, (seconds + FLOOD_SPARE_S) * 2000);
  const frames = Math.min(kpps * 1000 * (seconds + FLOOD_SPARE_S), FRAMES_MAX);
  const gapNs = Math.round(1e6 / kpps);
  const flood =
    kpps === 0 ? null : generator.send(floodOf(receiver, { frames, gapNs, sourcesPath }));
  // Whatever goes wrong meanwhile, a flood that fails is told when it is waited for.
  flood?.catch(() => undefined);
  try {
    await delay(FLOOD_SETTLES_MS);
    const [began, before] = [performance.now(), countersOf(receiver)];
    const { sent, rttUs } = await udp(topology, receiver, plan.udpSeconds);
    const tcpMbit = await tcp(topology, receiver, service, plan.tcpSeconds);
    const ms = performance.now() - began;
    const { received, overrun, cpuNs, checksumErrors } = since(before, countersOf(receiver));
    return {
      filter,
      entries,
      round,
      kpps,
      offeredKpps: (received + overrun) / ms,
      overrunKpps: overrun / ms,
      cpuShare: cpuNs / 1e6 / ms,
      checksumErrors,
      udpSent: sent,
      rttUs,
      tcpMbit,
    };
  } finally {
    generator.stop();
    await flood;
    await service.stop();
  }
}
