/** What a change means beyond its fields, told before it is made. */
import { sessionChanges } from '../../core/bgp/changes';
import { serviceNotes } from '../../core/model/cluster-services';
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
    case 'Node':
      return stored === null ? [] : sessionNotes(stored.value.resource as NodeResource, resource);
    case 'AnycastService': {
      const { nodes } = resource.spec;
      const bound = nodesWith(wanted, desired).filter(({ metadata }) =>
        selects(nodes, metadata.labels),
      );
      const names = bound.map(({ metadata }) => metadata.name).join(', ');
      return [
        `binds ${names || 'no node'} (${selectorText(nodes)})`,
        ...serviceNotes(resource, bound),
      ];
    }
    case 'Blocklist':
      return [];
  }
}

/** As they will be, in the order of their names; without those on their way out. */
function nodesWith(wanted: readonly AnyResource[], desired: DesiredState): NodeResource[] {
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
    .map(({ what, resets }) => `BGP ${what}${resets ? ' (the session resets)' : ''}`);
