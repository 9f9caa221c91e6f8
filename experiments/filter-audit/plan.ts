/** How much is measured. What is measured is always the same: `filters/table.ts`. */
import type { Cell } from './evidence';

export interface Plan {
  name: 'full' | 'quick' | 'smoke';
  /** Of the sizes that a filter can take, those. */
  entries: number[];
  costRounds: number;
  /** Frames of one flood that costs are taken from. */
  costFrames: number;
  floodRounds: number;
  floodCells: Cell[];
  floodKpps: number[];
  /** A flood that was weaker than it should be is tried again. */
  floodAttempts: number;
  udpSeconds: number;
  tcpSeconds: number;
  lookupRounds: number;
  /** A list that takes longer to load is given up. */
  loadTimeoutS: number;
}

/** Of the honest traffic. */
export const UDP_RATE = 1000;
export const TCP_MBIT = 200;
export const SERVICE_PORT = 7000;

const cells = (entries: number, ...filters: string[]): Cell[] =>
  filters.map((filter) => ({ filter, entries }));

const FLOOD_CELLS = [
  ...cells(0, 'nothing'),
  ...cells(1_000, 'iptables-legacy', 'iptables-nft', 'ipset', 'nft ingress, hash set'),
  ...cells(1_000, 'nft ingress, interval set', 'xdp-filter', 'Aether'),
  ...cells(1_000_000, 'ipset', 'nft ingress, hash set', 'Aether'),
];

const FULL: Plan = {
  name: 'full',
  entries: [1, 1_000, 10_000, 100_000, 1_000_000],
  costRounds: 7,
  costFrames: 1_500_000,
  floodRounds: 3,
  floodCells: FLOOD_CELLS,
  floodKpps: [0, 300, 1000],
  floodAttempts: 3,
  udpSeconds: 3,
  tcpSeconds: 2,
  lookupRounds: 7,
  loadTimeoutS: 240,
};

/** Everything that is claimed, with fewer rounds: an impression, no figures to quote. */
const QUICK: Plan = {
  ...FULL,
  name: 'quick',
  entries: [1_000, 10_000, 1_000_000],
  costRounds: 3,
  costFrames: 1_000_000,
  floodRounds: 1,
  floodCells: [
    ...cells(0, 'nothing'),
    ...cells(1_000, 'iptables-legacy', 'ipset', 'nft ingress, hash set', 'Aether'),
    ...cells(1_000_000, 'nft ingress, hash set', 'Aether'),
  ],
  floodKpps: [0, 1000],
  floodAttempts: 1,
  udpSeconds: 2,
  tcpSeconds: 1,
  lookupRounds: 3,
};

/** Whether it works at all. */
const SMOKE: Plan = {
  ...FULL,
  name: 'smoke',
  entries: [10],
  costRounds: 1,
  costFrames: 20_000,
  floodRounds: 1,
  floodCells: cells(10, 'Aether'),
  floodKpps: [100],
  floodAttempts: 1,
  udpSeconds: 1,
  tcpSeconds: 1,
  lookupRounds: 1,
  loadTimeoutS: 10,
};

export const PLANS = { full: FULL, quick: QUICK, smoke: SMOKE };
