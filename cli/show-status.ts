/** How a cluster is, for people. */
import type {
  CertificateView,
  ClusterStatus,
  ControllerStatus,
  DeadController,
} from '../core/model/views';
import { ago, table } from './output';
import type { Output } from './output';

export function statusText(status: ClusterStatus, out: Output, nowMs: number): string {
  const { controller, version, etcd, temporal, nodes, certificates, frozen, dead = [] } = status;
  const { red } = out.colours;
  const answers = (is: boolean): string => (is ? 'answers' : red('DOES NOT ANSWER'));
  const why = etcd.problem == null ? '' : `: ${etcd.problem}`;
  const counts =
    nodes === null
      ? 'unknown: etcd was not in reach since this controller started'
      : `${nodes.total}: ${nodes.connected} connected, ${nodes.converged} as they should be`;
  return [
    `controller  ${controller}, version ${version}`,
    `nodes       ${counts}`,
    `etcd        ${answers(etcd.ok)} (${etcd.endpoints.join(', ')})${why}`,
    `temporal    ${answers(temporal.ok)} (${temporal.address})`,
    `UI          ${temporal.uiUrl ?? '-'}`,
    `certificate ${firstToEnd(certificates)}`,
    `frozen      ${frozen ? 'yes, all nodes' : 'no'}`,
    '',
    controllersTable(status.controllers),
    ...dead.map((each) => red(`${each.id} is ${deadText(each, nowMs)}.`)),
  ].join('\n');
}

export const deadText = ({ sinceMs }: DeadController, nowMs: number): string =>
  `dead for ${ago(sinceMs, nowMs)}: its lease is gone`;

const controllersTable = (controllers: readonly ControllerStatus[]): string =>
  table(
    ['CONTROLLER', 'STATE', 'SHARDS', 'EDGES', 'FOR EDGES', 'ADMIN'],
    controllers.map(({ id, heard, draining, shards, edges, edgeAddress, adminAddress }) => [
      id,
      [heard ? 'heard' : 'NOT HEARD', ...(draining ? ['draining'] : [])].join(', '),
      String(shards),
      String(edges),
      edgeAddress,
      adminAddress ?? '-',
    ]),
  );

function firstToEnd(certificates: readonly CertificateView[]): string {
  const [first] = [...certificates].sort((a, b) => a.expiresAtMs - b.expiresAtMs);
  if (first === undefined) return '-';
  const until = new Date(first.expiresAtMs).toISOString().slice(0, 10);
  return `good until ${until} (${first.what}, the first to end)`;
}
