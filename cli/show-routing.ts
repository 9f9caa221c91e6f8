/** BGP and BFD, for people. */
import type { LifecycleState } from '../core/model/messages';
import type { BfdSessionView, NeighborView, RoutingStatus } from '../core/model/routing';
import type { PenaltyView } from '../core/model/routing-messages';
import type { NodeRoutingView } from '../core/model/views';
import { ago, table } from './output';
import type { Output } from './output';

const problems = ({ gobgpd, bfd }: RoutingStatus): string[] => [
  ...(gobgpd.problem === null ? [] : [`gobgpd: ${gobgpd.problem}`]),
  ...(bfd.problem === null ? [] : [`bfd: ${bfd.problem}`]),
  ...(bfd.realtime ? [] : ['bfd: it runs without real-time priority, false alarms are likelier']),
];

const noNews = ({ node, connected }: NodeRoutingView): string =>
  connected ? `${node} has not said how its routing is` : `${node} is not connected`;

/** What is to be said of a node before its tables. */
function notes(view: NodeRoutingView, out: Output, nowMs: number): string[] {
  const { yellow } = out.colours;
  const { node, connected, heardAtMs, status, command } = view;
  if (status === null) return [yellow(noNews(view))];
  const age = connected
    ? []
    : [`${node} is not connected: as of ${ago(heardAtMs ?? 0, nowMs)} ago`];
  const told =
    command === null || command.stance === 'announce'
      ? []
      : [`${node} is commanded to ${command.stance}: ${command.reason} (${command.by})`];
  return [...age, ...told, ...problems(status).map((problem) => `${node}: ${problem}`)].map(yellow);
}

function neighborNote({ held, problem }: NeighborView, nowMs: number): string {
  const until = held?.untilMs == null ? '' : ` for ${ago(nowMs, held.untilMs)} more`;
  return [held === null ? null : `held${until}: ${held.why}`, problem]
    .filter((note) => note !== null)
    .join('; ');
}

function neighborRow(neighbor: NeighborView, out: Output, nowMs: number): string[] {
  const { green, red, yellow } = out.colours;
  const { address, asn, state, sinceMs, localAddress, accepted, bfd, held } = neighbor;
  const up = held === null ? green(state) : yellow('held');
  return [
    address,
    String(asn),
    state === 'established' ? up : red(state),
    sinceMs === 0 ? '-' : ago(sinceMs, nowMs),
    localAddress ?? '-',
    String(accepted),
    bfd?.state ?? '-',
    neighborNote(neighbor, nowMs),
  ];
}

/** With BGP and without. */
const sessionsOf = ({ neighbors, bfdPeers }: RoutingStatus): BfdSessionView[] => [
  ...neighbors.flatMap(({ bfd }) => (bfd === null ? [] : [bfd])),
  ...bfdPeers,
];

const NO_DIAGNOSTIC = /^no ?diagnostic$/i;

const hopsOf = ({ mode, multihop }: BfdSessionView): string =>
  `${mode === undefined ? '' : `${mode}, `}${multihop ? 'multihop' : 'single'}`;

/** Seamless BFD has no session at the other end (RFC 7880 §7.3). */
const peerState = ({ mode, remoteState }: BfdSessionView): string =>
  mode === 'seamless' ? '' : ` (peer ${remoteState})`;

/** Ours, and what the peer said last, where either says anything. */
function diagnostics({ diagnostic, remoteDiagnostic, refused }: BfdSessionView): string {
  const said = [diagnostic, `peer: ${remoteDiagnostic}`].filter(
    (text) => !NO_DIAGNOSTIC.test(text.replace('peer: ', '')),
  );
  return refused === null ? said.join(', ') : `refused: ${refused}`;
}

function sessionRow(session: BfdSessionView, out: Output, nowMs: number): string[] {
  const { green, red, yellow } = out.colours;
  const paint = { up: green, init: yellow, down: red, adminDown: yellow };
  return [
    session.peer,
    hopsOf(session),
    `${paint[session.state](session.state)}${peerState(session)}`,
    ago(session.sinceMs, nowMs),
    `${session.transmitIntervalMs}`,
    `${session.detectTimeMs} (${session.remoteMultiplier}×)`,
    String(session.downs),
    session.gapMaxMs.toFixed(1),
    session.lateMaxMs.toFixed(1),
    diagnostics(session),
  ];
}

/** How each of a kind is told, be it of one host or of several nodes. */
interface Told<T> {
  head: readonly string[];
  row(each: T, out: Output, nowMs: number): string[];
  none: string;
}

export const NEIGHBORS: Told<NeighborView> = {
  head: ['NEIGHBOR', 'ASN', 'STATE', 'SINCE', 'FROM', 'ACCEPTED', 'BFD', 'NOTE'],
  row: neighborRow,
  none: 'No neighbours.',
};

export const SESSIONS: Told<BfdSessionView> = {
  head: 'PEER,HOPS,STATE,SINCE,TX ms,DETECT ms,DOWNS,GAP ms,LATE ms,DIAGNOSTIC'.split(','),
  row: sessionRow,
  none: 'No BFD sessions.',
};

export const ofHost = <T>(
  { head, row, none }: Told<T>,
  all: readonly T[],
  out: Output,
  nowMs: number,
): string =>
  all.length === 0
    ? none
    : table(
        head,
        all.map((each) => row(each, out, nowMs)),
      );

type Show = (views: readonly NodeRoutingView[], out: Output, nowMs: number) => string;

const ofNodes =
  <T>({ head, row, none }: Told<T>, all: (status: RoutingStatus) => readonly T[]): Show =>
  (views, out, nowMs) => {
    const rows = views.flatMap(({ node, status }) =>
      (status === null ? [] : all(status)).map((each) => [node, ...row(each, out, nowMs)]),
    );
    const lines = views.flatMap((view) => notes(view, out, nowMs));
    return [...lines, rows.length === 0 ? none : table(['NODE', ...head], rows)].join('\n');
  };

export const neighborsTable = ofNodes(NEIGHBORS, ({ neighbors }) => neighbors);
export const sessionsTable = ofNodes(SESSIONS, sessionsOf);

const decayed = ({ penalty, atMs, halfLifeMs }: PenaltyView, nowMs: number): number =>
  penalty * 2 ** (-Math.max(0, nowMs - atMs) / halfLifeMs);

/** What is held against a node's upstreams and itself; empty = nothing. */
export function penaltyLines(
  { penalties = [], quarantine }: LifecycleState,
  out: Output,
  nowMs: number,
): string[] {
  const { red, yellow } = out.colours;
  // They were told as they were when they last changed; since then they have decayed.
  const now = penalties.map((view) => ({ ...view, penalty: decayed(view, nowMs) }));
  const kept = now.filter(({ penalty }) => penalty >= 1);
  const rows = kept.map(({ upstream, penalty, suppressedSinceMs, reuseAtMs, causes }) => [
    upstream === '*' ? 'the node' : upstream,
    penalty.toFixed(0),
    suppressedSinceMs === null || (reuseAtMs ?? 0) <= nowMs
      ? 'no'
      : red(`for ${ago(suppressedSinceMs, nowMs)}`),
    reuseAtMs === null || reuseAtMs <= nowMs ? '-' : `in ${ago(nowMs, reuseAtMs)}`,
    causes.map(({ cause, atMs }) => `${cause} ${ago(atMs, nowMs)} ago`).join(', '),
  ]);
  return [
    ...(quarantine == null || quarantine.untilMs <= nowMs
      ? []
      : [yellow(`quarantined for ${ago(nowMs, quarantine.untilMs)} more: ${quarantine.reason}`)]),
    ...(rows.length === 0
      ? []
      : [table(['UPSTREAM', 'PENALTY', 'SUPPRESSED', 'REUSED', 'LAST CAUSES'], rows)]),
  ];
}
