/**
 * The floor of what is declared: an edge follows its spec, so a label, a weight or a service that goes takes announcers
 * away at once. No workflow looks after that; it is refused here, unless somebody insists.
 */
import type { AnycastServiceResource } from '../../core/model/anycast';
import type { NodeName } from '../../core/model/ids';
import type { AnyResource } from '../../core/model/resources';
import { refused } from './admin-errors';
import { nodesWith, stops } from './change-notes';
import type { DesiredState } from './desired';
import type { Fleet } from './fleet';

type Edges = Pick<Fleet, 'get' | 'announces' | 'announcesUnproven'>;

const list = (names: readonly string[]): string => names.join(', ') || 'nobody';

/** Throws where a service that is announced would be left with fewer announcers than its floor. */
export function assertDeclaredFloors(
  wanted: readonly AnyResource[],
  desired: DesiredState,
  edges: Edges,
): void {
  const [unread] = desired.unread;
  if (unread !== undefined && wanted.some(({ kind }) => kind !== 'Blocklist')) {
    throw refused(
      `${unread} in etcd can't be read, so nobody knows what this takes away; nothing was written; mend that key, or use --force.`,
    );
  }
  const nodes = nodesWith(wanted, desired);
  for (const service of servicesWith(wanted, desired)) {
    const { name } = service.metadata;
    const { minAnnouncers: floor } = service.spec;
    const leaving = nodes
      .filter((node) => stops(service, node, desired))
      .map(({ metadata }) => metadata.name);
    if (!leaving.some((node) => announced(edges, node, name))) continue;
    const left = nodes
      .map(({ metadata }) => metadata.name)
      .filter((node) => !leaving.includes(node) && isFirm(edges, node, name));
    if (left.length >= floor) continue;
    throw refused(
      `${name} must have ${floor} announcers; it would be withdrawn at once by ${list(leaving)}, and only ` +
        `${left.length} would be left (${list(left)}); nothing was written; drain first, or use --force.`,
    );
  }
}

/** A service that somebody announces goes by force alone: its floor can't hold. */
export function assertUnannounced(name: string, desired: DesiredState, edges: Edges): void {
  const selector = desired.service(name)?.value.resource.spec.nodes ?? {};
  const by = desired.selected(selector).filter((node) => announced(edges, node, name));
  if (by.length === 0) return;
  throw refused(
    `${name} is announced by ${list(by)}, and would be withdrawn at once; nothing was written; ` +
      `drain service/${name} first, or use --force.`,
  );
}

/** As its edge said last, be it connected or not: it goes on to announce without any of us. */
const announced = (edges: Edges, node: NodeName, service: string): boolean =>
  edges
    .get(node)
    ?.routing?.status.services.some((each) => each.service === service && each.announced) ?? false;

const isFirm = (edges: Edges, node: NodeName, service: string): boolean =>
  edges.announces(node, service) && !edges.announcesUnproven(node, service);

/** As they will be. */
function servicesWith(
  wanted: readonly AnyResource[],
  desired: DesiredState,
): AnycastServiceResource[] {
  const all = new Map(
    desired.services().flatMap(({ service }) => {
      if (service === null) return [];
      const { resource } = service.value;
      return [[resource.metadata.name, resource] as const];
    }),
  );
  for (const each of wanted) if (each.kind === 'AnycastService') all.set(each.metadata.name, each);
  return [...all.values()];
}
