/** Who announces what, and whether enough would be left. What the governor decides by is the key's; this is
 * the look before: it tells early, and whom to ask about. Pure. */
import type { NodeName } from '../model/ids';
import type { Facts } from '../model/errors';
import type { EdgeRouting, Picture, PlacedService, Placement } from '../model/routing-messages';

/** Commanded to be gone: whatever it says at the moment, it will be. */
export const isWithdrawn = (
  { traffic, nodeTraffic }: PlacedService,
  { node, region, command }: PlacedService['nodes'][number],
): boolean =>
  [command, nodeTraffic?.[node] ?? traffic[region]].some((each) => each?.stance === 'withdraw');

/** A node that is not connected may announce or not: it does not count. */
export function pictureOf(placement: Placement, said: readonly EdgeRouting[]): Picture {
  const speaking = new Map(said.filter((e) => e.connected).map((edge) => [edge.node, edge]));
  const announcers = placement.services.map(({ service, nodes }) => [
    service,
    nodes
      .map(({ node }) => node)
      .filter((node) =>
        speaking.get(node)?.services.some((s) => s.service === service && s.announced),
      ),
  ]);
  return {
    governorRevision: placement.governorRevision,
    announcers: Object.fromEntries(announcers) as Record<string, NodeName[]>,
  };
}

/** Announcers of a service that would be left without these nodes. */
export function leftWithout(
  placed: PlacedService,
  { announcers }: Picture,
  gone: readonly NodeName[],
): NodeName[] {
  const withdrawn = placed.nodes.filter((node) => isWithdrawn(placed, node));
  const away = new Set([...gone, ...withdrawn.map(({ node }) => node)]);
  return (announcers[placed.service] ?? []).filter((node) => !away.has(node));
}

/** The first service that would fall below its floor by `spare` or less; null = none would. */
export function floorReached(
  { services }: Placement,
  picture: Picture,
  gone: readonly NodeName[],
  spare = 0,
): Facts<'FloorReached'> | null {
  for (const placed of services) {
    const { service, minAnnouncers: floor } = placed;
    // Who does not announce is no loss.
    const concerned = picture.announcers[service]?.some((node) => gone.includes(node));
    const left = leftWithout(placed, picture, gone);
    if (concerned && left.length < floor + spare) {
      return { code: 'FloorReached', service, announcers: left, floor };
    }
  }
  return null;
}

export const floorText = ({ service, announcers, floor }: Facts<'FloorReached'>): string =>
  `${service} would be announced by ${announcers.length} (${announcers.join(', ') || 'nobody'}), ` +
  `its floor is ${floor}.`;
