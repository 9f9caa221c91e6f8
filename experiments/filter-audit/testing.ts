/** Evidence as a sound audit would bring it, made up: for the tests of what is reckoned from it. */
import { EVIDENCE_VERSION, type Cell, type Evidence } from './evidence';
import type { Kind } from './filters/filter';
import { PLANS } from './plan';

const ROUNDS = 2;
const RECEIVED = 100_000;
const ECHOES = 200;

/** CPU ns for each packet dropped. */
const DROP_NS: Record<string, number> = {
  'bare XDP_DROP': 96,
  'bare parse+count+drop': 113,
  Aether: 160,
  'xdp-filter': 211,
  'iptables-legacy': 2248,
  'iptables-nft': 4000,
  ipset: 1468,
  'nft ingress, hash set': 885,
  'nft ingress, interval set': 3000,
};

const cells = (filter: string): Cell[] =>
  (filter.startsWith('bare') ? [0] : [1_000, 10_000, 1_000_000]).map((entries) => ({
    filter,
    entries,
  }));
const everyRound = <T>(make: (round: number) => T[]): T[] =>
  Array.from({ length: ROUNDS }, (_, round) => make(round)).flat();

const cost = (cell: Cell, round: number, kind: Kind, ns: number) => ({
  ...cell,
  round,
  kind,
  sent: 2 * RECEIVED,
  received: RECEIVED,
  passed: kind === 'drop' ? 0 : RECEIVED,
  checksumErrors: 0,
  cpuNs: ns * RECEIVED,
  waitNs: 0,
});

const flood = (cell: Cell, round: number, kpps: number) => ({
  ...cell,
  round,
  kpps,
  offeredKpps: kpps,
  overrunKpps: 0,
  cpuShare: kpps / 2000,
  checksumErrors: 0,
  udpSent: ECHOES,
  rttUs: Array.from({ length: cell.filter === 'Aether' ? ECHOES : ECHOES - 20 }, (_, i) => 100 + i),
  tcpMbit: 200,
});

export function soundEvidence(program: string): Evidence {
  const filters = Object.entries(DROP_NS);
  return {
    version: EVIDENCE_VERSION,
    plan: {
      ...PLANS.full,
      costRounds: ROUNDS,
      floodRounds: ROUNDS,
      lookupRounds: ROUNDS,
    },
    began: '2026-01-01T00:00:00.000Z',
    ended: '2026-01-01T00:20:00.000Z',
    environment: {
      machine: { cpu: 'a CPU', cores: 2, memoryGiB: 8, kernel: '6.18', node: 'v20' },
      driver: 'veth',
      versions: { ipset: 'ipset v7' },
      program,
      settings: {},
    },
    load: { before: 0.1, during: [1, 1.5] },
    loads: filters.flatMap(([filter]) =>
      cells(filter).map((cell) => ({
        ...cell,
        list: 'mixed' as const,
        wallS: 1,
        cpuS: 0.5,
        memoryMiB: 10,
        claimedMiB: null,
      })),
    ),
    costs: everyRound((round) =>
      filters.flatMap(([filter, ns]) =>
        cells(filter).flatMap((cell) => [
          cost(cell, round, 'drop', ns),
          ...(cell.entries === 0 ? [] : [cost(cell, round, 'pass', ns + 700)]),
        ]),
      ),
    ),
    floods: everyRound((round) =>
      filters.flatMap(([filter]) =>
        cells(filter).flatMap((cell) => [0, 300, 1000].map((kpps) => flood(cell, round, kpps))),
      ),
    ),
    lookups: everyRound((round) => [
      { filter: 'bare parse+count+drop', entries: 0, round, kind: 'drop' as const, ns: 40 },
      ...cells('Aether').flatMap((cell) =>
        (['drop', 'pass'] as const).map((kind) => ({
          ...cell,
          round,
          kind,
          ns: 80 + Math.log10(cell.entries),
        })),
      ),
    ]),
    skipped: [{ filter: 'iptables-nft', entries: 1_000_000, why: 'a rule an entry' }],
  };
}
