/** What goes wrong, when and for how long, by a seed alone: the same seed breaks the same things in the same order. */
import { chance } from '../soak/chance';

/** Of a controller's lease, on which its ownership hangs (workers/controller). */
export const TTL_MS = 5_000;

/** Hosts of the lab by what they are. */
export interface Shape {
  controllers: readonly string[];
  etcds: readonly string[];
  edges: readonly string[];
}

export interface Planned {
  fault: FaultName;
  /** Whom it hits: hosts, in the order that the fault says. */
  who: readonly string[];
  /** How long it lasts; 0: it is over at once. */
  holdMs: number;
  /** What else was drawn, 0 ≤ x < 1. */
  lot: number;
}

interface Declared {
  title: string;
  who: (shape: Shape, pick: Pick) => readonly string[];
  /** ms, least and most. */
  hold: readonly [number, number];
}
/** So many different ones, in the order in which they were drawn. */
type Pick = (from: readonly string[], count?: number) => readonly string[];

const controller: Declared['who'] = ({ controllers }, pick) => pick(controllers);
const member: Declared['who'] = ({ etcds }, pick) => pick(etcds);
const edge: Declared['who'] = ({ edges }, pick) => pick(edges);
const nobody: Declared['who'] = () => [];

/** Long enough to be noticed by gossip; up to well beyond a lease. */
const CUT = [2_500, 12_000] as const;
const LONG_CUT = [2_500, 15_000] as const;

/** Every kind of fault there is. */
export const FAULTS = {
  controllerKilled: { title: 'kill -9 of a controller', who: controller, hold: [0, 0] },
  controllerRestarted: {
    title: 'a controller away for longer than its lease, back at the same address',
    who: controller,
    hold: [1.2 * TTL_MS, 3 * TTL_MS],
  },
  controllerPaused: {
    title: 'SIGSTOP of a controller for 0.5 to 3 × TTL',
    who: controller,
    hold: [0.5 * TTL_MS, 3 * TTL_MS],
  },
  staleOwner: {
    title: 'an owner suspended with commands in flight; it wakes when its edge obeys another one',
    who: ({ controllers, edges }, pick) => [...pick(controllers), ...pick(edges)],
    hold: [TTL_MS, 3 * TTL_MS],
  },
  staleWriter: {
    title: 'an owner suspended with a write to etcd in flight; it wakes when others own',
    who: nobody,
    hold: [TTL_MS, 3 * TTL_MS],
  },
  gossipUdpCut: {
    title: 'UDP alone cut from a controller to the others',
    who: controller,
    hold: CUT,
  },
  controllerTcpCut: {
    title: 'TCP alone cut from a controller to the others',
    who: controller,
    hold: CUT,
  },
  controllerOneWay: {
    title: 'what a controller sends to the others is lost, or what they send to it',
    who: controller,
    hold: CUT,
  },
  controllersParted: {
    title: 'a controller parted from the others',
    who: controller,
    hold: CUT,
  },
  controllerAlone: {
    title: 'a controller parted from everybody',
    who: controller,
    hold: LONG_CUT,
  },
  etcdUnreachable: {
    title: 'a controller parted from all members of etcd',
    who: controller,
    hold: [3_000, 3 * TTL_MS],
  },
  etcdOneWay: {
    title: 'what etcd answers to a controller is lost',
    who: controller,
    hold: [3_000, 3 * TTL_MS],
  },
  temporalUnreachable: {
    title: 'a controller parted from Temporal',
    who: controller,
    hold: LONG_CUT,
  },
  temporalParted: { title: 'everybody parted from Temporal', who: nobody, hold: LONG_CUT },
  temporalOneWay: {
    title: 'what a controller sends to Temporal is lost, or what Temporal sends to it',
    who: controller,
    hold: LONG_CUT,
  },
  temporalKilled: { title: 'kill -9 of Temporal', who: nobody, hold: [0, 0] },
  edgeParted: { title: 'an edge parted from all controllers', who: edge, hold: LONG_CUT },
  edgeOneWay: {
    title: 'what an edge sends to all controllers is lost, or what they send to it',
    who: edge,
    hold: LONG_CUT,
  },
  edgeFromOne: {
    title: 'an edge parted from one controller',
    who: ({ controllers, edges }, pick) => [...pick(edges), ...pick(controllers)],
    hold: LONG_CUT,
  },
  etcdKilled: { title: 'kill -9 of a member of etcd', who: member, hold: [0, 0] },
  etcdPaused: { title: 'SIGSTOP of a member of etcd', who: member, hold: [1_000, 10_000] },
  etcdMemberParted: {
    title: 'a member of etcd parted from the others',
    who: member,
    hold: CUT,
  },
  etcdMemberOneWay: {
    title: 'what a member of etcd sends to the others is lost, or what they send to it',
    who: member,
    hold: CUT,
  },
  splitBrain: {
    title: 'a controller and a member of etcd parted from everybody else, together',
    who: ({ controllers, etcds }, pick) => [...pick(controllers), ...pick(etcds)],
    hold: [4_000, 3 * TTL_MS],
  },
  quorumLost: {
    title: 'two members of etcd away for longer than a lease, then back',
    who: ({ etcds }, pick) => pick(etcds, 2),
    hold: [1.2 * TTL_MS, 3 * TTL_MS],
  },
  etcdGone: {
    title: 'all of etcd away, then back',
    who: ({ etcds }) => etcds,
    hold: [4_000, 3 * TTL_MS],
  },
  compaction: {
    title: 'a controller parted from etcd; what it misses is compacted',
    who: controller,
    hold: [3_000, 6_000],
  },
  diskFull: {
    title: 'the disk of a member of etcd is full',
    who: ({ etcds }) => etcds.slice(-1),
    hold: [4_000, 10_000],
  },
  controllerClock: {
    title: 'the wall clock of a controller steps',
    who: controller,
    hold: CUT,
  },
  edgeClock: { title: 'the wall clock of an edge steps', who: edge, hold: CUT },
  duplicateName: {
    title: 'a second controller by the name of another',
    who: ({ controllers }, pick) => pick(controllers, 2),
    hold: [6_000, 12_000],
  },
  foreignKey: {
    title: 'a controller with the gossip key of another cluster',
    who: controller,
    hold: [6_000, 12_000],
  },
} as const satisfies Record<string, Declared>;

export type FaultName = keyof typeof FAULTS;
export const FAULT_NAMES = Object.keys(FAULTS) as FaultName[];

/** By how much a clock is off, ms: half a second to four minutes, to either side. */
export function clockStep({ lot }: Planned): number {
  const size = 500 * 480 ** ((lot * 2) % 1);
  return lot < 0.5 ? -size : size;
}

/** What a stale writer is about to write of, by whose shard a refusal is known as its own. */
export const feedOf = ({ lot }: Planned): string => `stale-${Math.floor(lot * 1e6)}`;

export interface Order {
  seed: number;
  shape: Shape;
  /** Those to choose from. */
  faults: readonly FaultName[];
}

/** One after the other for ever, drawn by chance. */
export function* schedule({ seed, shape, faults }: Order): Generator<Planned, never> {
  const random = chance(seed);
  if (faults.length === 0) throw new RangeError('There is no fault to choose from');
  for (;;) {
    const name = faults[Math.floor(random() * faults.length)] ?? 'controllerKilled';
    yield draw(name, shape, random, random());
  }
}

/** Each of them once and as short as it may be; whom it hits, by the seed, whichever others are there. */
export const onceEach = ({ seed, shape, faults }: Order): Planned[] =>
  faults.map((name) => draw(name, shape, chance(seed + FAULT_NAMES.indexOf(name)), 0));

function draw(fault: FaultName, shape: Shape, random: () => number, length: number): Planned {
  const { who, hold }: Declared = FAULTS[fault];
  const pick: Pick = (from, count = 1) => {
    const left = [...from];
    return Array.from({ length: Math.min(count, left.length) }, () =>
      left.splice(Math.floor(random() * left.length), 1),
    ).flat();
  };
  const [least, most] = hold;
  const holdMs = Math.round(least + length * (most - least));
  return { fault, who: who(shape, pick), holdMs, lot: random() };
}
