/** Where a service is served, and what is commanded of it there. */
import type { AnycastServiceResource } from '../../core/model/anycast';
import type { NodeName } from '../../core/model/ids';
import type { Command, ServiceTraffic } from '../../core/model/routing';
import type { PlacedService } from '../../core/model/routing-messages';
import type { DesiredState } from './desired';
import type { Fleet } from './fleet';

export interface Commands {
  traffic: ServiceTraffic;
  /** Of `routing/<node>`. */
  commands: ReadonlyMap<NodeName, Command>;
}

/** `also`: a node of it that is told though it is on its way out, for its own drain; nobody else rests on it. */
export function placedService(
  desired: DesiredState,
  { metadata, spec }: AnycastServiceResource,
  { traffic, commands }: Commands,
  also: NodeName | null = null,
): PlacedService {
  const nodes = new Set([...desired.selected(spec.nodes), ...(also === null ? [] : [also])]);
  return {
    service: metadata.name,
    prefixes: spec.prefixes,
    addresses: spec.addresses,
    minAnnouncers: spec.minAnnouncers,
    regions: spec.regions,
    traffic: traffic.regions,
    nodeTraffic: traffic.nodes ?? {},
    nodes: [...nodes].map((node) => ({
      node,
      region: desired.inputs(node).node?.value.resource.metadata.region ?? '',
      phase: desired.inputs(node).phase?.value.phase ?? null,
      command: commands.get(node) ?? null,
    })),
  };
}

/** Of nodes that a decision about one node does not need, a history has no use. */
const OTHERS_LEAST = 32;

/**
 * What a decision about one node needs: that node, and enough of the others to know the floor. Those that announce
 * with a proof come first, so that nobody is refused for want of those that were left out.
 */
export function cutTo(
  node: NodeName,
  placed: PlacedService,
  edges: Pick<Fleet, 'announces' | 'announcesUnproven'>,
): PlacedService {
  const { service, minAnnouncers, nodes } = placed;
  const most = Math.max(OTHERS_LEAST, 2 * minAnnouncers);
  const others = nodes.map((each) => each.node).filter((name) => name !== node);
  if (others.length <= most) return placed;
  const firm = (name: NodeName): boolean =>
    edges.announces(name, service) && !edges.announcesUnproven(name, service);
  const first = others.filter(firm);
  const rest = first.length >= most ? [] : others.filter((name) => !first.includes(name));
  const kept = new Set([node, ...[...first, ...rest].slice(0, most)]);
  return { ...placed, nodes: nodes.filter((each) => kept.has(each.node)) };
}

/** From what is watched: for a look, not for a decision. */
export const commandsOf = (desired: DesiredState, service: string): Commands => ({
  traffic: desired.traffic(service)?.value ?? { regions: {} },
  commands: new Map(
    desired.names().flatMap((node) => {
      const command = desired.routing(node)?.value.command;
      return command ? [[node, command] as const] : [];
    }),
  ),
});
