/** What operators ask of services. */
import type { AnycastServiceDescription, AnycastServiceView } from '../../core/model/views';
import type { Stored } from '../../core/model/compile';
import type { ServiceValue } from '../../core/model/values';
import { assertRead, notFound } from './admin-errors';
import type { DesiredState } from './desired';

export class ServiceVerbs {
  constructor(private readonly deps: { desired: DesiredState }) {}

  get(name: string | null): AnycastServiceView[] {
    const { desired } = this.deps;
    assertRead(desired);
    const names = name === null ? desired.serviceNames() : [name];
    return names.map((each) => this.view(each, this.stored(each)));
  }

  describe(name: string): AnycastServiceDescription {
    assertRead(this.deps.desired);
    const stored = this.stored(name);
    return { view: this.view(name, stored), resource: stored.value.resource };
  }

  private view(name: string, { value, revision }: Stored<ServiceValue>): AnycastServiceView {
    const { prefixes, namespace, nodes, minAnnouncers } = value.resource.spec;
    const bound = this.deps.desired.selected(nodes).length;
    return { name, revision, prefixes, namespace, nodes, minAnnouncers, bound };
  }

  private stored(name: string): Stored<ServiceValue> {
    const stored = this.deps.desired.service(name);
    if (stored === null) throw notFound('AnycastService', name);
    return stored;
  }
}
