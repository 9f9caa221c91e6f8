/** What a change means beyond its fields, told before it is made. */
import { sessionChanges } from '../../core/bgp/changes';
import type { NodeResource } from '../../core/model/node';
import type { AnyResource } from '../../core/model/resources';
import { selectorText } from '../../core/model/selector';
import type { DesiredState } from './desired';
import type { AnyStored } from './kinds';

export function changeNotes(
  resource: AnyResource,
  stored: AnyStored | null,
  desired: DesiredState,
): string[] {
  switch (resource.kind) {
    case 'Node':
      return stored === null ? [] : sessionNotes(stored.value.resource as NodeResource, resource);
    case 'AnycastService': {
      const { nodes } = resource.spec;
      const bound = desired.selected(nodes);
      return [`binds ${bound.join(', ') || 'no node'} (${selectorText(nodes)})`];
    }
    case 'Blocklist':
      return [];
  }
}

/** Those that go down are told first. */
const sessionNotes = (before: NodeResource, after: NodeResource): string[] =>
  [...sessionChanges(before.spec.bgp, after.spec.bgp)]
    .sort((a, b) => Number(b.resets) - Number(a.resets))
    .map(({ what, resets }) => `BGP ${what}${resets ? ' (the session resets)' : ''}`);
