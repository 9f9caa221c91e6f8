/** Where a service is served, and what is commanded of it there. */
import type { AnycastServiceResource } from '../../core/model/anycast';
import type { NodeName } from '../../core/model/ids';
import type { Command, ServiceTraffic } from '../../core/model/routing';
import type { PlacedService } from '../../core/model/routing-messages';
import type { DesiredState } from './desired';

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
