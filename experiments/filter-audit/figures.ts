/** What is claimed, each claim with its bar and the samples it rests on (issue "The data plane"). */
import type { Figure } from '../common/figures';
import { isCell, nsPerPacket, type Cell, type Evidence, type FloodSample } from './evidence';
import type { Kind } from './filters/filter';

/** A sample that a claim rests on is not there: the claim can't be made. */
export class MissingEvidence extends Error {
  constructor(what: string) {
    super(`there is no evidence of ${what}`);
    this.name = 'MissingEvidence';
  }
}

const OURS = 'Aether';
const BASE = 'bare parse+count+drop';
const BASE_CELL = { filter: BASE, entries: 0 };
const NFT = 'nft ingress, hash set';
const FLOOD_KPPS = 1000;
/** Of the unflooded goodput, in %: 0.98 of it must be left. */
const GOODPUT_LOST_MOST = 2;

const shown = new Intl.NumberFormat('en').format;
const ours = (entries: number): Cell => ({ filter: OURS, entries });

/** One value a round, in the order of the rounds; all rounds must be there. */
function byRound<T extends { round: number }>(
  samples: readonly T[],
  rounds: number,
  what: string,
  value: (sample: T) => number,
): number[] {
  return Array.from({ length: rounds }, (_, round) => {
    const found = samples.find((sample) => sample.round === round);
    const taken = found === undefined ? NaN : value(found);
    if (!Number.isFinite(taken)) throw new MissingEvidence(`${what} in round ${round + 1}`);
    return taken;
  });
}

/** CPU ns for each packet, round by round. */
function costs({ costs: all, plan }: Evidence, { filter, entries }: Cell, kind: Kind): number[] {
  const those = all.filter((one) => isCell(one, filter, entries) && one.kind === kind);
  return byRound(those, plan.costRounds, `${filter} with ${entries}, ${kind}`, nsPerPacket);
}

function versus(
  entries: number,
  peer: Cell,
  atMost: number,
  said: string,
): (e: Evidence) => Figure {
  return (evidence) => ({
    claim: `${said}: CPU for each packet dropped`,
    unit: 'ns',
    bar: { measure: 'ratio', atMost },
    samples: costs(evidence, ours(entries), 'drop'),
    peer: { name: peer.filter, samples: costs(evidence, peer, 'drop') },
  });
}

const cell = (filter: string, entries: number): Cell => ({ filter, entries });
const inverse = (times: number): number => Number((1 / times).toFixed(4));

const COSTS = [
  versus(1_000, BASE_CELL, 1.5, '1,000 prefixes against a bare program (goal 1.25 ×)'),
  versus(1_000_000, BASE_CELL, 4, '1,000,000 prefixes against a bare program (goal 2.5 ×)'),
  versus(
    1_000,
    cell('iptables-legacy', 1_000),
    inverse(11),
    '1,000 prefixes against iptables-legacy, a rule each (11 × less)',
  ),
  versus(
    1_000_000,
    cell('ipset', 1_000_000),
    inverse(3),
    '1,000,000 prefixes against ipset (3 × less)',
  ),
  versus(
    1_000_000,
    cell(NFT, 1_000_000),
    inverse(2),
    '1,000,000 prefixes against an nft hash set of as many hosts (2 × less)',
  ),
  versus(
    1_000_000,
    cell('nft ingress, interval set', 1_000_000),
    inverse(4),
    '1,000,000 prefixes against an nft interval set (4 × less)',
  ),
  versus(
    10_000,
    cell('xdp-filter', 10_000),
    1,
    '10,000 prefixes against xdp-filter with as many hosts (at least even)',
  ),
];

/** Stands for the others in a smoke run, whose figures mean nothing. */
export const SMOKE_CLAIM = versus(
  10,
  cell(NFT, 10),
  1,
  '10 prefixes against as many hosts in an nft set',
);

/** What the program takes beyond the bare one, for a packet from a source that is in no set. */
function missLookup({ lookups, plan }: Evidence): Figure {
  const of = ({ filter, entries }: Cell, kind: Kind): number[] => {
    const those = lookups.filter((one) => isCell(one, filter, entries) && one.kind === kind);
    return byRound(those, plan.lookupRounds, `${filter} with ${entries} alone`, ({ ns }) => ns);
  };
  const base = of(BASE_CELL, 'drop');
  const beyond = (entries: number): number[] =>
    of(ours(entries), 'pass').map((ns, round) => ns - (base[round] ?? NaN));
  return {
    claim:
      'A source that is not listed, 1,000,000 prefixes against 1,000: time beyond a bare program',
    unit: 'ns',
    bar: { measure: 'ratio', atMost: 3 },
    samples: beyond(1_000_000),
    peer: { name: `${OURS} with 1,000`, samples: beyond(1_000) },
  };
}

const lossPercent = ({ udpSent, rttUs }: FloodSample): number => 100 * (1 - rttUs.length / udpSent);

function floods(
  { floods: all, plan }: Evidence,
  { filter, entries }: Cell,
  kpps: number,
): FloodSample[] {
  const those = all.filter((one) => isCell(one, filter, entries) && one.kpps === kpps);
  const what = `${filter} with ${entries} under ${kpps} kpps`;
  byRound(those, plan.floodRounds, what, ({ udpSent, rttUs }) =>
    udpSent > 0 && rttUs.length > 0 ? 1 : NaN,
  );
  return those.sort((a, b) => a.round - b.round);
}

const UNDER_FLOOD = '1 Mpps flood from listed sources in the same queue';

function floodFigures(entries: number): ((evidence: Evidence) => Figure)[] {
  const named = (what: string): string => `${UNDER_FLOOD}, ${shown(entries)} prefixes: ${what}`;
  const flooded = (evidence: Evidence) => floods(evidence, ours(entries), FLOOD_KPPS);
  return [
    (evidence) => ({
      claim: named('honest UDP echo, p99'),
      unit: 'ms',
      bar: { measure: 'p99', atMost: 1 },
      samples: flooded(evidence).flatMap(({ rttUs }) => rttUs.map((us) => us / 1000)),
      peer: null,
    }),
    (evidence) => ({
      claim: named('honest UDP echoes lost'),
      unit: '%',
      bar: { measure: 'median', atMost: 1 },
      samples: flooded(evidence).map(lossPercent),
      peer: null,
    }),
    (evidence) => {
      const theirs = floods(evidence, cell(NFT, entries), FLOOD_KPPS).map(lossPercent);
      return {
        claim: named('honest UDP echoes lost, less a third of what nftables loses'),
        unit: '%',
        bar: { measure: 'median', atMost: 0 },
        samples: flooded(evidence).map((one, i) => lossPercent(one) - (theirs[i] ?? NaN) / 3),
        peer: { name: NFT, samples: theirs },
      };
    },
    (evidence) => {
      const calm = floods(evidence, ours(entries), 0).map(({ tcpMbit }) => tcpMbit);
      return {
        claim: named('honest TCP, goodput lost'),
        unit: '%',
        bar: { measure: 'median', atMost: GOODPUT_LOST_MOST },
        samples: flooded(evidence).map(({ tcpMbit }, i) => 100 * (1 - tcpMbit / (calm[i] ?? NaN))),
        peer: null,
      };
    },
  ];
}

/** Of feeds, of loading and of the tracker it is other experiments that claim: docs/notes/audit.md. */
export const CLAIMS: readonly ((evidence: Evidence) => Figure)[] = [
  ...COSTS,
  missLookup,
  ...floodFigures(1_000),
  ...floodFigures(1_000_000),
];
