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
  const which = (is: (said: EdgeRouting['services'][number]) => boolean) =>
    placement.services.map(({ service, nodes }): [string, NodeName[]] => [
      service,
      nodes
        .map(({ node }) => node)
        .filter((node) => speaking.get(node)?.services.some((s) => s.service === service && is(s))),
    ]);
  const unproven = which((said) => said.announced && said.proven === false).filter(
    ([, nodes]) => nodes.length > 0,
  );
  const { governorRevision, revision } = placement;
  return {
    governorRevision,
    ...(revision === undefined ? {} : { revision }),
    announcers: Object.fromEntries(which(({ announced }) => announced)),
    ...(unproven.length === 0 ? {} : { unproven: Object.fromEntries(unproven) }),
  };
}

/** Announcers of a service that would be left without these nodes; on one without a proof nobody can rest. */
export function leftWithout(
  placed: PlacedService,
  { announcers, unproven }: Picture,
  gone: readonly NodeName[],
): NodeName[] {
  const withdrawn = placed.nodes.filter((node) => isWithdrawn(placed, node));
  const lost = unproven?.[placed.service] ?? [];
  const away = new Set([...gone, ...lost, ...withdrawn.map(({ node }) => node)]);
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
