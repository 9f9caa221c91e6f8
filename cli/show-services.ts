/** Services, for people. */
import { stringify } from 'yaml';
import type { Stance } from '../core/model/anycast';
import { anycastUserForm } from '../core/model/schema-anycast';
import { selectorText } from '../core/model/selector';
import type { NodeName } from '../core/model/ids';
import type { Seen } from '../core/model/routing-messages';
import type {
  AnycastServiceDescription,
  AnycastServiceView,
  ServiceEdgeView,
} from '../core/model/views';
import { ago, plural, table } from './output';
import type { Output } from './output';
import { heading, indented, workflowsTable } from './show';

const NONE = 'No services. Declare some: aether apply -f examples/services';

export function servicesTable(views: readonly AnycastServiceView[], out: Output): string {
  if (views.length === 0) return NONE;
  const { green, red } = out.colours;
  return table(
    ['SERVICE', 'PREFIXES', 'NAMESPACE', 'NODES', 'ANNOUNCERS', 'FLOOR'],
    views.map((view) => [
      view.name,
      view.prefixes.join(', '),
      view.namespace,
      `${view.bound}: ${selectorText(view.nodes)}`,
      (view.announcers.length < view.minAnnouncers ? red : green)(String(view.announcers.length)),
      String(view.minAnnouncers),
    ]),
  );
}

const STANCE_TEXT: Record<Stance, string> = {
  announce: 'announced',
  deprefer: 'depreferred',
  withdraw: 'withdrawn',
};

function stanceText({ stance, announced }: ServiceEdgeView, out: Output): string {
  const { green, yellow, red } = out.colours;
  if (stance === null) return red('unknown');
  if (stance === 'announce') return announced ? green('announced') : red('not announced');
  return (announced ? yellow : red)(STANCE_TEXT[stance]);
}

/** Which routers have a path of this node, by observer; `*`: the one they prefer. */
function seenText({ configured, observers }: Seen, node: NodeName): string {
  if (!configured) return 'no observer';
  const told = observers.flatMap(({ name, problem, paths }) => {
    if (problem !== null) return [`${name}: ?`];
    const own = paths.filter((path) => path.node === node);
    return own.map(({ from, best, communities }) => {
      const shut = communities.includes('65535:0') ? ' (shutting down)' : '';
      return `${name} by ${from}${best ? '*' : ''}${shut}`;
    });
  });
  return told.length === 0 ? 'nobody' : [...new Set(told)].join(', ');
}

const row = (edge: ServiceEdgeView, seen: Seen, out: Output, nowMs: number): string[] => [
  edge.node,
  edge.region,
  stanceText(edge, out),
  edge.sinceMs === null ? '-' : ago(edge.sinceMs, nowMs),
  edge.permit ? 'yes' : 'no',
  edge.peers.join(', ') || '-',
  seenText(seen, edge.node),
  edge.why.join('; '),
];

const HEAD = ['NODE', 'REGION', 'STANCE', 'SINCE', 'PERMIT', 'PEERS', 'SEEN AT', 'WHY'];

export function announcementsTable(
  found: readonly AnycastServiceDescription[],
  out: Output,
): string {
  if (found.length === 0) return NONE;
  const nowMs = Date.now();
  const rows = found.flatMap(({ view, edges, seen }) =>
    edges.length === 0
      ? [[view.name, '-', '-', out.colours.red('no node'), '-', '-', '-', '-', '']]
      : edges.map((edge) => [view.name, ...row(edge, seen, out, nowMs)]),
  );
  const low = found.filter(({ view }) => view.announcers.length < view.minAnnouncers);
  const warnings = low.map(({ view: { name, announcers, minAnnouncers } }) =>
    out.colours.red(
      `${name} has ${plural(announcers.length, 'announcer')}, below its floor of ${minAnnouncers}.`,
    ),
  );
  return [table(['SERVICE', ...HEAD], rows), ...warnings].join('\n');
}

export function describeService(found: AnycastServiceDescription, out: Output): string {
  const { view, resource, edges, traffic, seen, workflows } = found;
  const nowMs = Date.now();
  const commands = Object.entries(traffic);
  const problems = seen.observers.filter(({ problem }) => problem !== null);
  return [
    servicesTable([view], out),
    heading(out, 'Announcements'),
    indented(
      edges.length === 0
        ? 'no node has these labels'
        : table(
            HEAD,
            edges.map((edge) => row(edge, seen, out, nowMs)),
          ),
    ),
    ...(commands.length === 0
      ? []
      : [
          heading(out, 'Commanded'),
          indented(
            commands
              .map(
                ([region, { stance, reason, by, atMs }]) =>
                  `${region}: ${stance}, ${ago(atMs, nowMs)} ago by ${by}: ${reason}`,
              )
              .join('\n'),
          ),
        ]),
    ...(problems.length === 0
      ? []
      : [
          heading(out, 'Observers'),
          indented(problems.map(({ name, problem }) => `${name}: ${problem}`).join('\n')),
        ]),
    heading(out, 'Workflows'),
    indented(workflowsTable(workflows, nowMs)),
    heading(out, 'Resource'),
    indented(stringify(anycastUserForm(resource))),
  ].join('\n');
}
