/** Services, BGP neighbours and BFD sessions of one host, for people. */
import type { BfdReport } from '../core/announce/types';
import type { RoutingStatus } from '../core/model/routing';
import { ago, table } from './output';
import type { Output } from './output';
import { NEIGHBORS, ofHost, SESSIONS } from './show-routing';

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

export const describeBgp = (
  { neighbors, gobgpd }: RoutingStatus,
  out: Output,
  nowMs: number,
): string =>
  [ofHost(NEIGHBORS, neighbors, out, nowMs), ...problem('gobgpd', gobgpd.problem)].join('\n');

export function describeBfd(report: BfdReport, out: Output, nowMs: number): string {
  const { sessions, realtime, gobgpd, expired } = report;
  return [
    ofHost(SESSIONS, sessions, out, nowMs),
    ...problem('real time', realtime.problem),
    ...problem('gobgpd', gobgpd.problem),
    ...(expired === null
      ? []
      : [`no agent has renewed the lease; it ran out ${ago(expired.sinceMs, nowMs)} ago`]),
  ].join('\n');
}

const problem = (name: string, what: string | null): string[] =>
  what === null ? [] : [`${name}: ${what}`];
