/** Answers "how is this node, and why": pure functions of what was asked of etcd, edge and Temporal. */
import type { EdgeService } from '../../core/model/anycast';
import type { BgpSpec } from '../../core/model/bgp';
import type { NodeName } from '../../core/model/ids';
import type { EdgeFilters, EdgeStatus, RepairRecord } from '../../core/model/messages';
import type { NodeResource } from '../../core/model/node';
import type { FreezeValue } from '../../core/model/values';
import type { NodeExplanation, NodeView } from '../../core/model/views';
import { findingText } from '../../core/plan/types';
import { decisionText, standsBecause } from '../../core/repair/text';
import { shardOf } from '../../core/ring/shard';
import type { CompiledNode } from './desired';
import type { EdgeView } from './fleet';
import { pathNote } from './path-notes';

/** Everything a controller can know of a node; null where nobody can tell now. */
export interface Knowledge {
  node: NodeName;
  resource: NodeResource;
  desired: CompiledNode;
  /** Null: it is not frozen so. */
  frozen: { node: FreezeValue | null; global: FreezeValue | null };
  edge: EdgeView | null;
  status: EdgeStatus | null;
  certificateIssuedAtMs: number | null;
  /** What the last onboarding for this revision said as it failed. */
  onboardFailed: string | null;
  /** Whoever would have its stream is not heard here. */
  isUnheard: boolean;
  /** Who owns its shard and is not heard here; null: who does is heard. */
  silentOwner: string | null;
  temporalUp: boolean;
  nowMs: number;
}

const time = (ms: number): string => new Date(ms).toISOString();

export function viewOf(known: Knowledge): NodeView {
  const { node, resource, desired, edge } = known;
  const { region, labels } = resource.metadata;
  const findings = known.status?.findings ?? edge?.open?.findings ?? [];
  return {
    name: node,
    region,
    labels,
    phase: desired.phase,
    revision: desired.nodeRevision ?? 0,
    deletionRevision: desired.deletionRevision,
    shard: shardOf(node),
    connected: edge?.connected ?? false,
    converged: isConverged(known),
    findings: findings.length,
    frozen: Object.values(frozenOf(known)).includes(true),
    freezes: freezesOf(known),
    lastIncident: known.status?.incident ?? edge?.open?.incidentId ?? null,
    certificateIssuedAtMs: known.certificateIssuedAtMs,
    onboardFailed: known.onboardFailed,
    note: whyNot(known) ?? pathsOf(known) ?? repairText(known.status?.lastRepair ?? null),
  };
}

const frozenOf = ({ frozen, status }: Knowledge): EdgeStatus['frozen'] => ({
  local: status?.frozen.local ?? false,
  node: frozen.node !== null,
  global: frozen.global !== null,
});

function freezesOf({ frozen: { node, global }, status }: Knowledge): string[] {
  const text = (where: string, by: string | undefined, sinceMs: number, reason: string): string =>
    `${where}by ${by ?? 'root'} since ${time(sinceMs)}${reason === '' ? '' : `: ${reason}`}`;
  const local = status?.freeze ?? null;
  const until = local?.untilMs == null ? '' : ` until ${time(local.untilMs)}`;
  return [
    ...(local === null
      ? []
      : [text(`on its host${until} `, local.by, local.sinceMs, local.reason)]),
    ...(node === null ? [] : [text('', node.by, node.atMs, node.reason)]),
    ...(global === null ? [] : [text('with all nodes ', global.by, global.atMs, global.reason)]),
  ];
}

function pathsOf({ desired, status, edge }: Knowledge): string | null {
  const routing = status?.routing ?? edge?.routing?.status ?? null;
  return routing && pathNote(routing, desired.spec?.services ?? []);
}

export function explain(known: Knowledge): Omit<NodeExplanation, 'notAnnounced'> {
  const { desired, edge, status } = known;
  const lastDecision = status?.lastDecision ?? null;
  return {
    view: viewOf(known),
    desired: {
      revision: desired.spec?.revision ?? desired.nodeRevision ?? 0,
      hash: desired.hash ?? '',
      summary: summary(desired),
    },
    observed:
      edge === null
        ? null
        : {
            acceptedRevision: status?.accepted?.revision ?? null,
            appliedHash: status?.appliedHash ?? (edge.appliedHash === '' ? null : edge.appliedHash),
            atMs: Math.round(status === null ? known.nowMs - edge.seenAgoMs : known.nowMs),
          },
    difference: difference(known),
    whyNot: whyNot(known),
    lastDecision:
      lastDecision === null
        ? null
        : `${decisionText(lastDecision.decision)} (${lastDecision.incidentId}, ${time(lastDecision.atMs)})`,
    nextTimer:
      status?.nextTimer == null
        ? null
        : `${status.nextTimer.what} at ${time(status.nextTimer.atMs)}`,
    lastRepair: repairText(status?.lastRepair ?? null),
    byHand: (status?.filters?.overrides ?? []).map(({ verdict, prefix, reason, untilMs }) => {
      const until = untilMs === null ? 'until it is taken back' : `until ${time(untilMs)}`;
      return `${verdict} ${prefix} ${until}: ${reason}`;
    }),
  };
}

function isConverged({ desired, edge, status }: Knowledge): boolean {
  if (desired.hash === null || edge?.connected !== true) return false;
  if (desired.phase === 'decommissioning') return false;
  if (status === null) return edge.appliedHash === desired.hash && edge.open === null;
  return (
    status.accepted?.hash === desired.hash &&
    status.appliedHash === desired.hash &&
    status.findings.length === 0
  );
}

function summary({ spec, phase, deletionRevision, unread }: CompiledNode): string[] {
  if (deletionRevision !== null) return ['to be taken away, with all that is on it'];
  if (unread !== null) return [`not known: ${unread} in etcd can't be read`];
  if (spec === null) return ['nothing yet: it is not onboarded'];
  const nowhere = spec.filters.length === 0 ? ', but no filter is there to enforce that' : '';
  return [
    `phase ${phase}`,
    ...spec.namespaces.map(
      ({ name, links, routes }) =>
        `namespace ${name}: ${links.map((link) => link.name).join(', ') || 'no links'}, ${routes.length} routes`,
    ),
    ...spec.filters.map((filter) => `filter on ${filter.interface} (${filter.mode})`),
    ...spec.blocklists.map(
      ({ name, mode, blob }) => `blocklist ${name} (${mode}): ${blob.count} prefixes${nowhere}`,
    ),
    ...spec.services.map(serviceText),
    ...(spec.bgp === null ? [] : [bgpText(spec.bgp)]),
    ...(spec.bfdPeers.length === 0 ? [] : [`BFD with ${addressesOf(spec.bfdPeers)}`]),
    ...(spec.blocks.length === 0
      ? []
      : [`${spec.blocks.length} prefixes blocked for a time or by hand${nowhere}`]),
  ];
}

const serviceText = ({ name, prefixes, commanded: { stance, why } }: EdgeService): string =>
  `service ${name} (${prefixes.join(', ')}): ${stance}${why === '' ? '' : `, since ${why}`}`;

const addressesOf = (peers: readonly { address: string }[]): string =>
  peers.map(({ address }) => address).join(', ');

const bgpText = ({ asn, neighbors }: BgpSpec): string =>
  `BGP as AS ${asn} with ${addressesOf(neighbors) || 'nobody'}`;

function difference({ desired, edge, status }: Knowledge): string[] {
  const accepted = status?.accepted ?? null;
  const spec =
    desired.hash !== null && accepted !== null && accepted.hash !== desired.hash
      ? [`the edge has accepted revision ${accepted.revision}, not yet ${desired.spec?.revision}`]
      : [];
  const findings = status?.findings ?? edge?.open?.findings ?? [];
  return [...spec, ...findings.map(findingText), ...unfilled(status?.filters)];
}

/** What the filters of an edge do not hold yet; no repair can bring it, only time or room. */
function unfilled(filters: EdgeFilters | undefined): string[] {
  const failed = (filters?.interfaces ?? []).flatMap(({ interface: name, problem }) =>
    problem === null ? [] : [`the filter of ${name} goes on with what it held: ${problem}`],
  );
  const coming = (filters?.lists ?? []).flatMap(({ name, held, chunksMissing }) => {
    if (chunksMissing === 0) return [];
    const meanwhile = held === null ? 'nothing of it is enforced' : 'its former version goes on';
    return [`the list ${name} is on its way (${chunksMissing} chunks are missing): ${meanwhile}`];
  });
  return [...failed, ...coming];
}

type Reason = (known: Knowledge) => string | null;

const notConnected: Reason = ({ edge, desired, isUnheard, nowMs }) => {
  if (edge?.connected) return null;
  if (edge === null && isUnheard)
    return 'the controller that owns it is not heard by the one that answers; its edge keeps its last spec';
  if (edge === null && desired.spec === null)
    return 'its agent has not connected to any controller';
  if (edge?.unheardForMs != null) {
    const who = `controller ${edge.at}, which had its stream, is not heard`;
    return `${who} since ${time(nowMs - edge.unheardForMs)}; it keeps its last spec`;
  }
  const since = edge === null ? 'yet' : `since ${time(nowMs - edge.seenAgoMs)}`;
  return `its agent is not connected ${since}; it keeps its last spec`;
};

const failedToOnboard: Reason = ({ onboardFailed }) =>
  onboardFailed === null
    ? null
    : `its onboarding failed: ${onboardFailed} (tried again when its agent connects, by an audit, or when it is declared otherwise)`;

const notOnboarded: Reason = ({ desired, temporalUp }) => {
  if (desired.phase === 'decommissioning') return 'what its onboarding had begun is taken back';
  if (desired.phase === 'onboarding') return 'it is being onboarded';
  if (desired.phase !== null) return null;
  return temporalUp
    ? 'it is not onboarded: see the workflow onboardNode of this node'
    : 'it is not onboarded, and Temporal is not in reach: onboarding begins when it is back';
};

/** In order: the first that applies is what has to be seen to first. */
const REASONS: readonly Reason[] = [
  notConnected,
  ({ silentOwner }) =>
    silentOwner === null
      ? null
      : `controller ${silentOwner}, which owns it, is not heard by the one that answers: what is declared may not reach it`,
  ({ desired: { unread } }) =>
    unread === null
      ? null
      : `${unread} in etcd can't be read, and may concern it: it keeps its last spec until that key is mended`,
  failedToOnboard,
  ({ edge }) => (edge?.refused == null ? null : `its agent refused the spec: ${edge.refused}`),
  ({ status }) => unfilled(status?.filters)[0] ?? null,
  ({ status }) =>
    status?.problems[0] == null ? null : `its agent has a problem: ${status.problems[0]}`,
  ({ desired }) => (desired.deletionRevision === null ? null : 'it is being taken away'),
  notOnboarded,
];

/** Why what differs is not repaired right now; null where nothing is to be done. */
export function whyNot(known: Knowledge): string | null {
  const { node, edge, status } = known;
  for (const reason of REASONS) {
    const text = reason(known);
    if (text !== null) return text;
  }
  if (isConverged(known)) return null;
  const stands = standsBecause(node, frozenOf(known), status);
  if (stands !== null) return stands;
  if ((status?.findings.length ?? edge?.open?.findings.length ?? 0) === 0) {
    return 'its agent has not reported the wanted spec as applied yet';
  }
  return known.temporalUp
    ? 'the repair is under way'
    : 'Temporal is not in reach; the agent repairs by itself where its policy allows it';
}

function repairText(record: RepairRecord | null): string | null {
  if (record === null) return null;
  const took = record.repairedInMs === null ? '' : ` in ${Math.round(record.repairedInMs)} ms`;
  const by = record.by === 'agent' ? ' by its agent alone' : '';
  return `${record.outcome}${took}${by} at ${time(record.atMs)}: ${record.findings.join(', ')} (${record.incidentId})`;
}
