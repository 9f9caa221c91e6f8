/** What a change means beyond its fields, told before it is made. */
import { sessionChanges } from '../../core/bgp/changes';
import type { AnycastServiceResource } from '../../core/model/anycast';
import { serviceNotes } from '../../core/model/cluster-services';
import { commandedOf } from '../../core/model/compile-services';
import type { NodeResource } from '../../core/model/node';
import type { AnyResource } from '../../core/model/resources';
import { selects, selectorText } from '../../core/model/selector';
import type { DesiredState } from './desired';
import type { AnyStored } from './kinds';

interface PlannedResource {
  resource: AnyResource;
  stored: AnyStored | null;
  /** All that is to be written together. */
  wanted: readonly AnyResource[];
}

export function changeNotes(
  { resource, stored, wanted }: PlannedResource,
  desired: DesiredState,
): string[] {
  switch (resource.kind) {
    case 'Node': {
      if (stored === null) return [];
      const lost = desired.serviceNames().filter((name) => {
        const service = desired.service(name)?.value.resource;
        return service !== undefined && stops(service, resource, desired);
      });
      const before = stored.value.resource as NodeResource;
      return [...sessionNotes(before, resource), ...lossNotes(lost, 'service')];
    }
    case 'AnycastService': {
      const { nodes } = resource.spec;
      const bound = nodesWith(wanted, desired).filter(({ metadata }) =>
        selects(nodes, metadata.labels),
      );
      const names = bound.map(({ metadata }) => metadata.name).join(', ');
      const left = nodesWith(wanted, desired).filter((node) => stops(resource, node, desired));
      return [
        `binds ${names || 'no node'} (${selectorText(nodes)})`,
        ...serviceNotes(resource, bound),
        ...lossNotes(
          left.map(({ metadata }) => metadata.name),
          'node',
        ),
      ];
    }
    case 'Blocklist':
      return [];
  }
}

/** Whether a node that is to announce a service now is not to, by this service and this node. */
export function stops(
  service: AnycastServiceResource,
  node: NodeResource,
  desired: DesiredState,
): boolean {
  const { name } = service.metadata;
  const { spec, phase } = desired.of(node.metadata.name);
  const now = spec?.services.find((each) => each.name === name)?.commanded.stance ?? 'withdraw';
  if (now === 'withdraw' || phase === null) return false;
  if (!selects(service.spec.nodes, node.metadata.labels)) return true;
  const { routing } = desired.inputs(node.metadata.name);
  const traffic = desired.traffic(name)?.value ?? null;
  const served = { metadata: node.metadata, phase, routing };
  return commandedOf(service.spec, served, traffic).stance === 'withdraw';
}

/** An edge follows its spec: no peer is waited for (what the floor makes of it: declared-floors.ts). */
const lossNotes = (names: readonly string[], what: 'node' | 'service'): string[] =>
  names.length === 0
    ? []
    : [`withdrawn at once: ${what} ${names.join(', ')}; drain first to lose no packet`];

/** As they will be, in the order of their names; without those on their way out. */
export function nodesWith(wanted: readonly AnyResource[], desired: DesiredState): NodeResource[] {
  const all = new Map<string, NodeResource>();
  for (const name of desired.selected(null)) {
    const node = desired.inputs(name).node;
    if (node !== null) all.set(name, node.value.resource);
  }
  for (const each of wanted) if (each.kind === 'Node') all.set(each.metadata.name, each);
  return [...all.values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

/** Those that go down are told first. */
const sessionNotes = (before: NodeResource, after: NodeResource): string[] =>
  [...sessionChanges(before.spec.bgp, after.spec.bgp)]
    .sort((a, b) => Number(b.resets) - Number(a.resets))
    .map(({ what }) => `BGP ${what}`);
