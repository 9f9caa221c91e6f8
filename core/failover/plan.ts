/** Who takes over from regions that do not serve, and whether they can. Pure. */
import type { Stance } from '../model/anycast';
import type { NodeName } from '../model/ids';
import type { EdgeRouting, PlacedService } from '../model/routing-messages';

/** What each region's nodes can do now. */
export interface RegionStrength {
  region: string;
  /** 0: a backup, which announces only when it is told to. */
  weight: number;
  /** By a command; null = as its weight says. */
  commanded: Stance | null;
  nodes: NodeName[];
  /** Streams up. */
  connected: NodeName[];
  /** Announce it. */
  announcing: NodeName[];
  /** Could announce it: a session to a router, and a proof. */
  able: NodeName[];
}

const isAble = ({ connected, neighbors, services }: EdgeRouting, service: string): boolean =>
  connected &&
  neighbors.some(({ state, held }) => state === 'established' && !held) &&
  services.some((each) => each.service === service && (each.proven ?? each.announced));

/** In the order of the service's regions; those that only nodes name come last, by name. */
export function strengths(placed: PlacedService, said: readonly EdgeRouting[]): RegionStrength[] {
  const edges = new Map(said.map((edge) => [edge.node, edge]));
  const ofNodes = [...new Set(placed.nodes.map(({ region }) => region))].sort();
  const names = [...new Set([...placed.regions.map(({ name }) => name), ...ofNodes])];
  return names.map((region) => {
    const nodes = placed.nodes.filter((node) => node.region === region).map(({ node }) => node);
    const which = (is: (edge: EdgeRouting) => boolean): NodeName[] =>
      nodes.filter((node) => {
        const edge = edges.get(node);
        return edge !== undefined && is(edge);
      });
    const share = placed.regions.find(({ name }) => name === region);
    return {
      region,
      weight: share?.weight ?? (placed.regions.length === 0 ? 1 : 0),
      commanded: placed.traffic[region]?.stance ?? null,
      nodes,
      connected: which(({ connected }) => connected),
      announcing: which(
        ({ connected, services }) =>
          connected && services.some((s) => s.service === placed.service && s.announced),
      ),
      able: which((edge) => isAble(edge, placed.service)),
    };
  });
}

/** What it comes to by its command, else by its weight. */
export const stanceOf = ({ commanded, weight }: RegionStrength): Stance =>
  commanded ?? (weight > 0 ? 'announce' : 'withdraw');

export interface Receivers {
  /** They announce by their weight anyway. */
  serving: RegionStrength[];
  /** Backups that are to be told, in this order, until there are enough. */
  backups: RegionStrength[];
}

/** `to`: asked for by a person; a region that does not serve receives nothing. */
export function receiversOf(
  regions: readonly RegionStrength[],
  down: ReadonlySet<string>,
  to: string | null,
): Receivers {
  // One that a drain has taken away serves nobody.
  const up = regions.filter(
    ({ region, nodes, commanded }) =>
      !down.has(region) && nodes.length > 0 && (commanded ?? 'announce') === 'announce',
  );
  const backups = up.filter(({ weight }) => weight === 0);
  const wanted = backups.filter(({ region }) => region === to);
  const others = backups.filter(({ region }) => region !== to);
  const serving = up.filter(({ weight }) => weight > 0);
  return { serving, backups: [...wanted, ...others] };
}

/** Enough to hold the floor. */
export const needed = ({ minAnnouncers }: Pick<PlacedService, 'minAnnouncers'>): number =>
  Math.max(1, minAnnouncers);

/**
 * The backups that are to announce on top of who serves: those that were chosen already, and as many more
 * as it takes for enough nodes; none where who serves is enough.
 */
export function toRaise(
  { serving, backups }: Receivers,
  need: number,
  chosen: ReadonlySet<string>,
): string[] {
  const known = backups.filter(({ region }) => chosen.has(region));
  let count =
    serving.reduce((sum, { announcing }) => sum + announcing.length, 0) +
    known.reduce((sum, { able }) => sum + able.length, 0);
  const more: string[] = [];
  for (const { region, able } of backups) {
    if (count >= need) break;
    if (chosen.has(region) || able.length === 0) continue;
    more.push(region);
    count += able.length;
  }
  return [...known.map(({ region }) => region), ...more];
}
