/** What the trials claim, from what they measured. */
import type { Figure } from '../common/figures';
import { median } from '../common/statistics';
import type { Measured, Outage } from './job';
import { MULTIPLIER } from './trial';
import type { EdgeKind } from './trial';

const NAMES: Readonly<Record<EdgeKind, string>> = {
  aether: 'Aether',
  bird: 'BIRD',
  frr: 'FRR',
  gobgpd: 'GoBGP, which does not jitter',
};
/** ms, median; BIRD as the router. The RFC's jitter alone gives the detection a median of 769 and 256 ms. */
const SILENT_BARS: readonly [intervalMs: number, atMost: number][] = [
  [300, 820],
  [100, 280],
  [50, 135],
];
const SLOWEST_INTERVAL = 300;
const CARRIER_MS = 5;
/** Three intervals, and the wait for the next look at the clock. */
const DETECTION_MS = 35;
const RESET_MS = 6_000;
/** Beside the better of BIRD and FRR as the edge, in the same run. */
const AT_MOST_RATIO = 1.05;

const figure = (
  claim: string,
  bar: Figure['bar'],
  samples: number[],
  peer: Figure['peer'] = null,
  unit = 'ms',
): Figure => ({ claim, unit, bar, samples, peer });

/** What an edge of that kind lost; null where it was not tried. */
type Lost = (edge: EdgeKind) => { name: string; samples: number[] } | null;

const lostOf =
  (outages: readonly Outage[], of: Pick<Outage, 'router' | 'intervalMs' | 'fault'>): Lost =>
  (edge) => {
    const found = outages.filter(
      (one) =>
        one.edge === edge &&
        one.router === of.router &&
        one.intervalMs === of.intervalMs &&
        one.fault === of.fault,
    );
    if (found.length === 0) return null;
    return { name: NAMES[edge], samples: found.map(({ lost }) => lost) };
  };

function silentCuts(outages: readonly Outage[], router: Outage['router']): Figure[] {
  return SILENT_BARS.flatMap(([intervalMs, atMost]): Figure[] => {
    const lost = lostOf(outages, { router, intervalMs, fault: 'silent' });
    const ours = lost('aether');
    if (ours === null) return [];
    const claim = `The link to ${NAMES[router]} is cut silently, BFD ${intervalMs} ms × ${MULTIPLIER}: packets lost, one a ms`;
    const peers = [lost('bird'), lost('frr')].flatMap((one) => one ?? []);
    const [better] = peers.sort((a, b) => median(a.samples) - median(b.samples));
    const ratio = { measure: 'ratio', atMost: AT_MOST_RATIO } as const;
    return [
      // With FRR as the router there is no bar but the peers.
      ...(router === 'bird'
        ? [figure(claim, { measure: 'median', atMost }, ours.samples, lost('gobgpd'))]
        : []),
      ...(better === undefined
        ? []
        : [figure(`${claim}, beside the better of BIRD and FRR`, ratio, ours.samples, better)]),
    ];
  });
}

const OTHER_FAULTS = [
  ['mute', 'The edge is not heard any more', SLOWEST_INTERVAL * MULTIPLIER],
  ['deaf', 'The edge hears nothing any more', SLOWEST_INTERVAL * MULTIPLIER],
  ['carrier', 'The edge loses its link with carrier', CARRIER_MS],
] as const;

const otherFaults = (outages: readonly Outage[]): Figure[] =>
  OTHER_FAULTS.flatMap(([fault, said, atMost]) => {
    const lost = lostOf(outages, { router: 'bird', intervalMs: SLOWEST_INTERVAL, fault });
    const ours = lost('aether');
    if (ours === null) return [];
    const claim = `${said}, BFD ${SLOWEST_INTERVAL} ms × ${MULTIPLIER}: packets lost, one a ms`;
    return [figure(claim, { measure: 'median', atMost }, ours.samples, lost('bird'))];
  });

const NONE = { measure: 'max', atMost: 0 } as const;

export function figuresOf({ outages, detections, bfdRestarts, resets }: Measured): Figure[] {
  return [
    ...silentCuts(outages, 'bird'),
    ...silentCuts(outages, 'frr'),
    ...otherFaults(outages),
    figure(
      'The link between two Aether edges is cut silently, BFD 10 ms × 3: until the far one has noticed',
      { measure: 'median', atMost: DETECTION_MS },
      detections,
    ),
    figure(
      'The bfd process is restarted inside its detection time: packets lost',
      NONE,
      bfdRestarts.map(({ lost }) => lost),
      null,
      'packets',
    ),
    figure(
      'The bfd process is restarted inside its detection time: sessions of the router that came anew',
      NONE,
      bfdRestarts.map(({ sessions }) => sessions),
      null,
      'sessions',
    ),
    figure(
      'The router (BIRD: connect delay 1 s, hold time 9 s) resets the session, again and again: until it has the route back',
      { measure: 'max', atMost: RESET_MS },
      resets,
    ),
  ];
}
