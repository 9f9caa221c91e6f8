/** What is wrong with a node's ways to its neighbours: nothing to repair on its host, but to be seen. */
import type { EdgeService } from '../../core/model/anycast';
import type { RoutingStatus } from '../../core/model/routing';

/** One line; null where nothing is wrong. `services`: as they are commanded now. */
export function pathNote(
  status: RoutingStatus,
  services: readonly Pick<EdgeService, 'name' | 'commanded'>[],
): string | null {
  return bgpDown(status) ?? bfdDown(status) ?? notAnnounced(status, services);
}

function bgpDown({ neighbors }: RoutingStatus): string | null {
  if (neighbors.length === 0) return null;
  if (neighbors.some(({ state }) => state === 'established')) return null;
  const named = neighbors.map(({ address, problem, state }) => `${address}: ${problem ?? state}`);
  return `none of its BGP sessions is up (${named.join(', ')})`;
}

function bfdDown({ bfdPeers }: RoutingStatus): string | null {
  if (bfdPeers.length === 0 || bfdPeers.some(({ state }) => state === 'up')) return null;
  const named = bfdPeers.map(({ peer, state }) => `${peer}: ${state}`);
  return `none of its BFD sessions is up (${named.join(', ')})`;
}

/** What stands by or is withdrawn on command is as it should be. */
function notAnnounced(
  status: RoutingStatus,
  services: readonly Pick<EdgeService, 'name' | 'commanded'>[],
): string | null {
  const silent = services.flatMap(({ name, commanded }) => {
    const said = status.services.find(({ service }) => service === name);
    if (commanded.stance === 'withdraw' || said === undefined || said.announced) return [];
    return [`${name} is not announced: ${said.why.join('; ') || said.stance}`];
  });
  return silent.length === 0 ? null : silent.join('. ');
}
