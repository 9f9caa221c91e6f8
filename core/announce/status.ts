/** RoutingStatus (core/model/routing.ts) of all that an agent knows of its routing. */
import type { EdgeService } from '../model/anycast';
import type { BfdSessionView, NeighborView, RoutingStatus, ServiceView } from '../model/routing';
import type { Standing } from './events';
import { worst } from './override';
import type { Judgement } from './proof';
import type { BfdReport } from './types';

/** What only gobgpd knows of a neighbour. */
export type NeighborFacts = Omit<NeighborView, 'held' | 'bfd'>;

export interface StatusInput {
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
  return { ...facts, held, bfd, problem: facts.problem ?? refusal(bfd) };
}

const refusal = (bfd: BfdSessionView | null): string | null =>
  bfd?.refused == null ? null : `BFD: ${bfd.refused}`;

function serviceView(
  judgement: Judgement,
  { services, standings, report, bfdProblem, nowMs }: StatusInput,
  neighbors: readonly NeighborView[],
): ServiceView {
  const { service, paths } = judgement;
  const spec = services.find(({ name }) => name === service);
  const stance = report === null ? judgement.stance : effective(judgement, report);
  const exported = neighbors.some(({ state, held }) => state === 'established' && held === null);
  const why = [
    ...judgement.why,
    ...(report === null ? [bfdProblem ?? 'the bfd process was not heard yet'] : []),
    ...(report !== null && stance !== judgement.stance
      ? [`gobgpd holds it as ${stance}, not as ${judgement.stance}, still`]
      : []),
    ...(exported ? [] : [noSession(neighbors)]),
  ];
  return {
    service,
    prefixes: spec?.prefixes ?? paths.map(({ prefix }) => prefix),
    stance,
    announced: report !== null && stance !== 'withdraw' && exported,
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

function noSession(neighbors: readonly NeighborView[]): string {
  if (neighbors.length === 0) return 'no BGP neighbour is known';
  const held = neighbors.find(({ state, held }) => state === 'established' && held !== null);
  if (held === undefined) return 'no BGP session is established';
  return `nothing is exported to ${held.address} yet: ${held.held?.why ?? ''}`;
}

/** What a reader can tell apart: counters and gauges that move by themselves are left out. */
export const telling = (status: RoutingStatus): string =>
  JSON.stringify(status, (key, value: unknown) => (MOVING.has(key) ? undefined : value));

const MOVING = new Set(['atMs', 'packets', 'lateMaxMs', 'gapMaxMs', 'accepted']);
