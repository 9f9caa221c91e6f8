/** Services, BGP neighbours and BFD sessions of one host, for people. */
import type { BfdReport } from '../core/announce/types';
import type { BfdSessionView, NeighborView, RoutingStatus } from '../core/model/routing';
import { ago, table } from './output';

export function describeStood({ services, gobgpd, bfd }: RoutingStatus, nowMs: number): string {
  const problems = [...problem('gobgpd', gobgpd.problem), ...problem('bfd', bfd.problem)];
  if (services.length === 0) return ['No service is bound to this edge.', ...problems].join('\n');
  const rows = services.map(({ service, prefixes, stance, announced, permit, sinceMs, why }) => [
    service,
    prefixes.join(', '),
    stance,
    announced ? 'yes' : 'no',
    permit ? 'held' : '-',
    ago(sinceMs, nowMs),
    why.join('; ') || '-',
  ]);
  const head = ['SERVICE', 'PREFIXES', 'STANCE', 'ANNOUNCED', 'PERMIT', 'SINCE', 'WHY'];
  return [table(head, rows), ...problems].join('\n');
}

export function describeBgp({ neighbors, gobgpd }: RoutingStatus, nowMs: number): string {
  const problems = problem('gobgpd', gobgpd.problem);
  if (neighbors.length === 0) return ['No BGP neighbour.', ...problems].join('\n');
  const head = ['NEIGHBOUR', 'ASN', 'STATE', 'SINCE', 'FROM', 'ACCEPTED', 'BFD', 'NOTE'];
  const rows = neighbors.map((neighbor) => [
    neighbor.address,
    String(neighbor.asn),
    neighbor.state,
    neighbor.sinceMs === 0 ? '-' : ago(neighbor.sinceMs, nowMs),
    neighbor.localAddress ?? '-',
    String(neighbor.accepted),
    neighbor.bfd?.state ?? '-',
    noteOf(neighbor, nowMs),
  ]);
  return [table(head, rows), ...problems].join('\n');
}

function noteOf({ held, problem: what }: NeighborView, nowMs: number): string {
  const until = held?.untilMs == null ? '' : `, ${ago(nowMs, held.untilMs)} more`;
  const notes = [...(held === null ? [] : [`held: ${held.why}${until}`]), ...(what ? [what] : [])];
  return notes.join('; ') || '-';
}

export function describeBfd(report: BfdReport, nowMs: number): string {
  const { sessions, realtime, gobgpd, expired } = report;
  const notes = [
    ...problem('real time', realtime.problem),
    ...problem('gobgpd', gobgpd.problem),
    ...(expired === null
      ? []
      : [`no agent has renewed the lease; it ran out ${ago(expired.sinceMs, nowMs)} ago`]),
  ];
  if (sessions.length === 0) return ['No BFD session.', ...notes].join('\n');
  const head = ['PEER', 'STATE', 'SINCE', 'TX', 'DETECT', 'DOWNS', 'LATE', 'GAP', 'DIAGNOSTIC'];
  const rows = sessions.map((session) => [
    session.multihop ? `${session.peer} (multihop)` : session.peer,
    `${session.state} (peer ${session.remoteState})`,
    ago(session.sinceMs, nowMs),
    `${session.transmitIntervalMs} ms`,
    `${session.detectTimeMs} ms`,
    String(session.downs),
    `${session.lateMaxMs.toFixed(1)} ms`,
    `${session.gapMaxMs.toFixed(1)} ms`,
    diagnosticOf(session),
  ]);
  return [table(head, rows), ...notes].join('\n');
}

const diagnosticOf = ({ refused, diagnostic, remoteDiagnostic }: BfdSessionView): string =>
  refused ?? `${diagnostic} (peer ${remoteDiagnostic})`;

const problem = (name: string, what: string | null): string[] =>
  what === null ? [] : [`${name}: ${what}`];
