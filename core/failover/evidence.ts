/**
 * Whether a region serves a service, from what edges say of themselves and of each other. Evidence
 * alone makes a region `failing`: what nobody can tell is `unknown`, and moves no traffic.
 */
import type { NodeName } from '../model/ids';
import type { BfdSessionView, NeighborView, RoutingStatus } from '../model/routing';

/** One edge, of whatever region, as a controller knows it. */
export interface EdgeWitness {
  node: NodeName;
  region: string;
  /** For how long it is missed, ms; below 0: it has so long yet to return. Null: its stream is up. */
  goneForMs: number | null;
  /** Whoever has or had its stream is not heard: nobody knows whether it is up, or how it is. */
  unheard: boolean;
  /** What it said last; null = it has not spoken since this controller started. */
  status: RoutingStatus | null;
}

export interface ServicePicture {
  service: string;
  /** Epoch ms; for people alone: nothing is judged by it. */
  nowMs: number;
  /** Nodes that serve it, in all regions; `expected`: commanded to announce it now. */
  nodes: readonly { node: NodeName; region: string; expected: boolean }[];
  /** All edges: those that do not serve it can bear witness. */
  edges: readonly EdgeWitness[];
}

export const EVIDENCE_KINDS = ['probesFailing', 'sessionsDown', 'unhealthy', 'edgesGone'] as const;
export type EvidenceKind = (typeof EVIDENCE_KINDS)[number];

/** `able`: healthy, and not to announce it now. */
export type RegionState = 'serving' | 'able' | 'failing' | 'unknown';

export interface RegionVerdict {
  region: string;
  state: RegionState;
  /** Some node of it is to announce the service now; a backup that stands by is not missed. */
  needed: boolean;
  kinds: EvidenceKind[];
  /** One sentence each, for people and histories. */
  why: string[];
  /** Epoch ms of the first sign of a failure; null unless `failing`. */
  sinceMs: number | null;
}

/**
 * A stream that is away for less is a restart of an agent, or of a controller. What an edge announces
 * outlives its stream (design §5), so this counts only where nobody can bear witness.
 */
export const GONE_AFTER_MS = 10_000;

interface NodeVerdict {
  node: NodeName;
  state: RegionState;
  kind: EvidenceKind | null;
  why: string;
  sinceMs: number | null;
}

/** Its stream is not known to be up. */
const isAway = ({ goneForMs, unheard }: EdgeWitness): boolean => goneForMs !== null || unheard;

/** Not up, after it once was; a session that never came up says nothing of a failure. */
const isDown = ({ state, remoteState, downs }: BfdSessionView): boolean =>
  state === 'down' && remoteState !== 'adminDown' && downs > 0;

const isEstablished = ({ neighbors }: RoutingStatus): boolean =>
  neighbors.some(({ state, bfd }) => state === 'established' && !(bfd && isDown(bfd)));

/** An agent that has just begun has not asked gobgpd yet; one that lost gobgpd knows since when. */
const isUnasked = ({ state, sinceMs }: NeighborView): boolean =>
  state === 'unknown' && sinceMs === 0;

const isCutOff = (status: RoutingStatus): boolean =>
  status.neighbors.length > 0 && !isEstablished(status) && !status.neighbors.some(isUnasked);

/** Addresses by which others reach an edge: those that it sends from. */
const addressesOf = (status: RoutingStatus | null): string[] =>
  [
    ...(status?.bfdPeers ?? []).map(({ local }) => local),
    ...(status?.neighbors ?? []).map(({ localAddress }) => localAddress),
  ].filter((address) => address !== null);

/** What one edge's sessions to a region's nodes say of it; null = nothing. */
function testimony(
  witness: EdgeWitness,
  addresses: ReadonlySet<string>,
): { down: boolean; sinceMs: number } | null {
  const { status } = witness;
  // One that is cut off itself sees everybody down.
  if (status === null || isAway(witness) || isCutOff(status)) return null;
  const told = status.bfdPeers.filter(
    (session) => addresses.has(session.peer) && (session.state === 'up' || isDown(session)),
  );
  if (told.length === 0) return null;
  return { down: told.every(isDown), sinceMs: Math.min(...told.map(({ sinceMs }) => sinceMs)) };
}

interface Testimonies {
  up: NodeName[];
  down: NodeName[];
  sinceMs: number | null;
}

/** Of the edges of other regions that have a session to one of this region's nodes. */
function testimoniesOn(region: string, edges: readonly EdgeWitness[]): Testimonies {
  const own = edges.filter((edge) => edge.region === region);
  const addresses = new Set(own.flatMap(({ status }) => addressesOf(status)));
  const told: Testimonies = { up: [], down: [], sinceMs: null };
  for (const edge of edges) {
    const said = edge.region === region ? null : testimony(edge, addresses);
    if (said === null) continue;
    (said.down ? told.down : told.up).push(edge.node);
    if (said.down) told.sinceMs = Math.min(told.sinceMs ?? Infinity, said.sinceMs);
  }
  return told;
}

const isMajority = ({ up, down }: Testimonies): boolean => down.length > up.length;

function judgeNode(
  service: string,
  { node, expected }: ServicePicture['nodes'][number],
  edge: EdgeWitness | undefined,
  reached: boolean,
  nowMs: number,
): NodeVerdict {
  const verdict = (
    state: RegionState,
    kind: EvidenceKind | null,
    why: string,
    sinceMs: number | null = null,
  ): NodeVerdict => ({ node, state, kind, why: `${node}: ${why}`, sinceMs });
  if (edge?.unheard) return verdict('unknown', null, 'the controller with its stream is not heard');
  const gone = edge?.goneForMs ?? null;
  if (gone !== null) {
    if (reached) return verdict('unknown', null, 'only its controller is out of its reach');
    return gone >= GONE_AFTER_MS
      ? verdict('failing', 'edgesGone', 'its stream has ended', nowMs - gone)
      : verdict('unknown', null, 'its stream has ended just now');
  }
  const status = edge?.status ?? null;
  if (status === null) return verdict('unknown', null, 'it has not said how its routing is');
  if (isCutOff(status)) {
    const sinceMs = Math.max(...status.neighbors.map((n) => n.bfd?.sinceMs ?? n.sinceMs));
    return verdict('failing', 'sessionsDown', 'no session to a router is up', sinceMs);
  }
  const view = status.services.find((each) => each.service === service);
  if (view === undefined) return verdict('unknown', null, 'it does not know the service yet');
  const healthy = view.proven ?? (view.announced && view.stance === 'announce');
  if (!healthy) {
    const why = view.why.join('; ') || 'its proof is lost';
    return verdict('failing', 'unhealthy', why, view.sinceMs);
  }
  if (!expected) return verdict('able', null, 'healthy, not to announce it now');
  if (view.announced) return verdict('serving', null, 'announces it');
  return verdict('unknown', null, view.why.join('; ') || 'not announced yet');
}

/** Best first; a region is as good as its best node. */
const BEST: readonly RegionState[] = ['serving', 'able', 'unknown', 'failing'];

function judgeRegion(
  region: string,
  picture: ServicePicture,
  edgeOf: ReadonlyMap<NodeName, EdgeWitness>,
): RegionVerdict {
  const { service, nodes, edges, nowMs } = picture;
  const told = testimoniesOn(region, edges);
  // With every stream of every region down, it is the controller that is cut off.
  const alone = edges.every((edge) => edge.region === region || isAway(edge));
  const reached = alone || told.up.length > told.down.length;
  const here = nodes.filter((node) => node.region === region);
  // One that is drained is no help to those that shall serve.
  const needed = here.some(({ expected }) => expected);
  const asked = needed ? here.filter(({ expected }) => expected) : here;
  const verdicts = asked.map((node) =>
    judgeNode(service, node, edgeOf.get(node.node), reached, nowMs),
  );
  const own = BEST.find((state) => verdicts.some((each) => each.state === state)) ?? 'unknown';
  const failing = own === 'failing' ? verdicts : [];
  const kinds = new Set(failing.flatMap(({ kind }) => kind ?? []));
  const why = verdicts.map((each) => each.why);
  const signs = failing.flatMap(({ sinceMs }) => sinceMs ?? []);
  if (isMajority(told)) {
    kinds.add('probesFailing');
    const all = told.up.length + told.down.length;
    why.unshift(
      `${told.down.join(', ')}: it answers no more (${told.down.length} of ${all} edges)`,
    );
    signs.push(told.sinceMs ?? nowMs);
  }
  return {
    region,
    state: kinds.size > 0 ? 'failing' : own,
    needed,
    kinds: EVIDENCE_KINDS.filter((kind) => kinds.has(kind)),
    why,
    sinceMs: kinds.size > 0 ? Math.min(...signs, nowMs) : null,
  };
}

/** One for each region with a node of the service, in the order of their names. */
export const judgeRegions = (picture: ServicePicture): RegionVerdict[] => {
  const edgeOf = new Map(picture.edges.map((edge) => [edge.node, edge]));
  return [...new Set(picture.nodes.map(({ region }) => region))]
    .sort()
    .map((region) => judgeRegion(region, picture, edgeOf));
};

// ---- What is told, and when -------------------------------------------------------------------------

/** Of one region of one service, between two looks. */
export interface RegionMemory {
  /** It was seen to be healthy: from then on a failure is news at once. */
  proven: boolean;
  /** Monotonic. */
  failingSinceMs: number | null;
  told: 'failing' | 'recovered' | null;
}

export const NO_MEMORY: RegionMemory = { proven: false, failingSinceMs: null, told: null };

/**
 * A region that was never seen healthy may be one that is being brought up; it has failed only when it
 * stays so. The same holds after a restart of the controller.
 */
export const UNPROVEN_AFTER_MS = 30_000;

export interface Remembered {
  memory: RegionMemory;
  tell: 'failing' | 'recovered' | null;
  /** When the passing of time alone may change the answer. */
  againAtMs: number | null;
}

/** What is to be told now; each change once. `nowMs`: monotonic, since clocks may step. */
export function remember(
  memory: RegionMemory,
  { state, needed }: RegionVerdict,
  nowMs: number,
): Remembered {
  const silent = state === 'failing' && !needed && memory.told === null;
  if (state === 'unknown' || silent) return { memory, tell: null, againAtMs: null };
  if (state !== 'failing') {
    const tell = memory.told === 'failing' ? 'recovered' : null;
    const told = tell ?? memory.told;
    return { memory: { proven: true, failingSinceMs: null, told }, tell, againAtMs: null };
  }
  const failingSinceMs = memory.failingSinceMs ?? nowMs;
  const next = { ...memory, failingSinceMs };
  const dueAtMs = memory.proven ? failingSinceMs : failingSinceMs + UNPROVEN_AFTER_MS;
  if (memory.told === 'failing') return { memory: next, tell: null, againAtMs: null };
  if (nowMs < dueAtMs) return { memory: next, tell: null, againAtMs: dueAtMs };
  return { memory: { ...next, told: 'failing' }, tell: 'failing', againAtMs: null };
}
