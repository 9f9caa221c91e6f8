/** RoutingStatus (core/model/routing.ts) of all that an agent knows of its routing. */
import { worst, type EdgeService } from '../model/anycast';
import type { BfdSessionView, NeighborView, RoutingStatus, ServiceView } from '../model/routing';
import type { Standing } from './events';
import type { Judgement } from './proof';
import type { BfdReport } from './types';

/** What only gobgpd knows of a neighbour. */
export type NeighborFacts = Omit<NeighborView, 'held' | 'bfd'>;

export interface StatusInput {
  /** Epoch ms. */
  nowMs: number;
  services: readonly EdgeService[];
  judged: readonly Judgement[];
  standings: Readonly<Record<string, Standing>>;
  /** Null: the bfd process was not heard yet, or is not heard any more; `bfdProblem` says why. */
  report: BfdReport | null;
  bfdProblem: string | null;
  gobgpdProblem: string | null;
  neighbors: readonly NeighborFacts[];
}

export function routingStatus(input: StatusInput): RoutingStatus {
  const { nowMs, report, bfdProblem, gobgpdProblem } = input;
  const neighbors = input.neighbors.map((facts) => neighborView(facts, report));
  const known = new Set(neighbors.map(({ address }) => address));
  return {
    atMs: nowMs,
    gobgpd: { problem: gobgpdProblem ?? report?.gobgpd.problem ?? null },
    bfd: {
      problem: bfdProblem ?? expiry(report) ?? report?.realtime.problem ?? null,
      realtime: report?.realtime.held ?? false,
    },
    neighbors,
    bfdPeers: (report?.sessions ?? []).filter(({ peer }) => !known.has(peer)),
    services: input.judged.map((judgement) => serviceView(judgement, input, neighbors)),
  };
}

const expiry = (report: BfdReport | null): string | null =>
  report?.expired == null
    ? null
    : 'the lease was not renewed in time: each path goes as its onExpiry says';

function neighborView(facts: NeighborFacts, report: BfdReport | null): NeighborView {
  const { address } = facts;
  const held = report?.peers.find((peer) => peer.address === address)?.held ?? null;
  const bfd = report?.sessions.find(({ peer }) => peer === address) ?? null;
  return { ...facts, held, bfd, problem: facts.problem ?? bfdTrouble(facts, bfd) };
}

function bfdTrouble({ state }: NeighborFacts, bfd: BfdSessionView | null): string | null {
  if (bfd === null) return null;
  if (bfd.refused !== null) return `BFD: ${bfd.refused}`;
  if (state !== 'established' || bfd.state === 'up') return null;
  return 'BFD is not up: BGP alone notices a dead path, after its hold time';
}

function serviceView(
  judgement: Judgement,
  { services, standings, report, bfdProblem, nowMs }: StatusInput,
  neighbors: readonly NeighborView[],
): ServiceView {
  const { service, paths } = judgement;
  const spec = services.find(({ name }) => name === service);
  const stance = report === null ? judgement.stance : effective(judgement, report);
  const untold = unexported(paths, neighbors);
  const why = [
    ...judgement.why,
    ...(report === null ? [bfdProblem ?? 'the bfd process was not heard yet'] : []),
    ...(report !== null && stance !== judgement.stance
      ? [`gobgpd holds it as ${stance}, not as ${judgement.stance}, still`]
      : []),
    ...untold,
  ];
  return {
    service,
    prefixes: spec?.prefixes ?? paths.map(({ prefix }) => prefix),
    stance,
    announced: report !== null && stance !== 'withdraw' && untold.length === 0,
    why,
    proven: judgement.proven,
    sinceMs: standings[service]?.sinceMs ?? nowMs,
    permit: spec?.permit ?? false,
  };
}

/** As gobgpd holds it: as judged, once every prefix stands as judged. */
function effective({ stance, paths }: Judgement, report: BfdReport): ServiceView['stance'] {
  const held = new Map(report.paths.map((path) => [path.prefix, path.stance]));
  const inGobgpd = ({ prefix }: { prefix: string }) => held.get(prefix) ?? 'withdraw';
  if (paths.every((path) => inGobgpd(path) === path.stance)) return stance;
  return worst(...paths.map(inGobgpd));
}

const FAMILIES = ['IPv4', 'IPv6'] as const;
const familyOf = (text: string): (typeof FAMILIES)[number] =>
  text.includes(':') ? 'IPv6' : 'IPv4';

/**
 * Why prefixes are told to nobody; empty = they are. A neighbour is told those of its own family; a family
 * that no neighbour of this node has is no reason, as long as the other one is told.
 */
function unexported(
  paths: readonly { prefix: string }[],
  neighbors: readonly NeighborView[],
): string[] {
  const wanted = FAMILIES.filter((family) =>
    paths.some(({ prefix }) => familyOf(prefix) === family),
  );
  const spoken = wanted
    .map((family) => neighbors.filter(({ address }) => familyOf(address) === family))
    .filter((some) => some.length > 0);
  if (spoken.length === 0) return [noNeighbor(wanted, neighbors)];
  return spoken.flatMap((some) => {
    if (some.some(({ state, held }) => state === 'established' && held === null)) return [];
    const of = spoken.length > 1 ? ` for ${familyOf(some[0]?.address ?? '')}` : '';
    return [noSession(some, of)];
  });
}

const noNeighbor = (wanted: readonly string[], neighbors: readonly NeighborView[]): string =>
  neighbors.length === 0
    ? 'no BGP neighbour is known'
    : `no BGP neighbour has an ${wanted.join(' or ')} address, and so is told of it`;

function noSession(neighbors: readonly NeighborView[], of: string): string {
  const held = neighbors.find(({ state, held }) => state === 'established' && held !== null);
  if (held === undefined) return `no BGP session is established${of}`;
  return `nothing is exported to ${held.address} yet: ${held.held?.why ?? ''}`;
}

/** What a reader can tell apart: counters and gauges that move by themselves are left out. */
export const telling = (status: RoutingStatus): string =>
  JSON.stringify(status, (key, value: unknown) => (MOVING.has(key) ? undefined : value));

const MOVING = new Set(['atMs', 'packets', 'lateMaxMs', 'gapMaxMs', 'accepted']);
