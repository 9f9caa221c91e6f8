/** What an audit has seen, raw: everything that is claimed, drawn or printed is reckoned from this. */
import type { Machine } from '../common/machine';
import type { Kind } from './filters/filter';
import type { ListKind } from './prefixes';
import type { Plan } from './plan';

export const EVIDENCE_VERSION = 1;

/** A filter with a list: what figures are about. */
export interface Cell {
  filter: string;
  entries: number;
}

export interface LoadSample extends Cell {
  list: ListKind | null;
  wallS: number;
  cpuS: number;
  /** By which the machine's used memory grew, caches left out. */
  memoryMiB: number;
  claimedMiB: number | null;
}

/** One flood, as fast as it goes, from its first frame until the queue is empty again. */
export interface CostSample extends Cell {
  round: number;
  kind: Kind;
  sent: number;
  received: number;
  passed: number;
  checksumErrors: number;
  cpuNs: number;
  /** That the polling thread was ready and had no core: others were at work there. */
  waitNs: number;
}

/** Honest traffic through the queue that is flooded. */
export interface FloodSample extends Cell {
  round: number;
  /** Wanted; 0 = no flood. */
  kpps: number;
  /** What came to the queue, and what of that found it full. */
  offeredKpps: number;
  overrunKpps: number;
  /** Of one core, taken by the polling thread. */
  cpuShare: number;
  checksumErrors: number;
  udpSent: number;
  /** Of the echoes that came back. */
  rttUs: number[];
  tcpMbit: number;
}

/** The filter's program alone, each packet from another source, under BPF_PROG_TEST_RUN. */
export interface LookupSample extends Cell {
  round: number;
  kind: Kind;
  ns: number;
}

export interface Skipped {
  filter: string;
  /** Null: all. */
  entries: number | null;
  why: string;
}

export interface Environment {
  machine: Machine;
  driver: string;
  /** By the name of the filter. */
  versions: Record<string, string>;
  /** SHA-256 of what was measured: the XDP object. */
  program: string;
  /** e.g. what the kernel does against speculation, which costs indirect calls dear. */
  settings: Record<string, string>;
}

export interface Evidence {
  version: number;
  plan: Plan;
  /** ISO 8601. */
  began: string;
  ended: string;
  environment: Environment;
  /** Load averages: before, and after each round. */
  load: { before: number; during: number[] };
  loads: LoadSample[];
  costs: CostSample[];
  floods: FloodSample[];
  lookups: LookupSample[];
  skipped: Skipped[];
}

export const isCell = (cell: Cell, filter: string, entries: number): boolean =>
  cell.filter === filter && cell.entries === entries;

export const nsPerPacket = ({ cpuNs, received }: CostSample): number => cpuNs / received;
