/** What operators ask of services: who announces what, why or why not, since when, and who has seen it. */
import type { RoutingClient } from '../../adapters/temporal/routing-client';
import type { Stored } from '../../core/model/compile';
import type { NodeName } from '../../core/model/ids';
import type { ServiceValue } from '../../core/model/values';
import type {
  AnycastServiceDescription,
  AnycastServiceView,
  ServiceEdgeView,
} from '../../core/model/views';
import { assertRead, notFound } from './admin-errors';
import type { DesiredState } from './desired';
import type { Fleet } from './fleet';
import type { Observers } from './observers';

export interface ServiceVerbsDependencies {
  desired: DesiredState;
  edges: Fleet;
  observers: Observers;
  /** Null while Temporal is away. */
  workflows: () => RoutingClient | null;
}

const WORKFLOWS_SHOWN = 20;

export class ServiceVerbs {
  constructor(private readonly deps: ServiceVerbsDependencies) {}

  get(name: string | null): AnycastServiceView[] {
    const { desired } = this.deps;
    assertRead(desired);
    const names = name === null ? desired.serviceNames() : [name];
    return names.map((each) => this.view(each, this.stored(each)));
  }

  async describe(name: string): Promise<AnycastServiceDescription> {
    const { desired, observers, workflows } = this.deps;
    assertRead(desired);
    const stored = this.stored(name);
    const { resource } = stored.value;
    const [seen, runs] = await Promise.all([
      observers.seenAt(resource.spec.prefixes),
      workflows()
        ?.workflowsOf(name, WORKFLOWS_SHOWN)
        .catch(() => []) ?? [],
    ]);
    return {
      view: this.view(name, stored),
      resource,
      edges: desired.selected(resource.spec.nodes).map((node) => this.edge(name, node)),
      traffic: desired.traffic(name)?.value.regions ?? {},
      seen,
      workflows: runs,
    };
  }

  /** One line for each service that the node does not announce as it could. */
  notAnnounced(node: NodeName): string[] {
    return this.deps.desired
      .servicesOf(node)
      .map((name) => ({ name, view: this.edge(name, node) }))
      .filter(({ view }) => view.why.length > 0)
      .map(({ name, view }) => {
        const how = view.announced ? `announced, ${view.stance}` : 'not announced';
        return `${name} is ${how}: ${view.why.join('; ')}`;
      });
  }

  private edge(service: string, node: NodeName): ServiceEdgeView {
    const { desired, edges } = this.deps;
    const { spec, phase } = desired.of(node);
    const edge = edges.get(node);
    const status = edge?.routing?.status ?? null;
    const said = status?.services.find((each) => each.service === service) ?? null;
    const commanded = spec?.services.find(({ name }) => name === service)?.commanded ?? null;
    const connected = edge?.connected ?? false;
    const peers = (status?.neighbors ?? [])
      .filter(({ state, held }) => state === 'established' && held === null)
      .map(({ address }) => address);
    const announced = said?.announced ?? false;
    return {
      node,
      region: desired.inputs(node).node?.value.resource.metadata.region ?? '',
      phase,
      connected,
      commanded,
      stance: said?.stance ?? null,
      announced,
      why: [
        ...(connected ? [] : ['its agent is not connected: this is what it said last']),
        ...(said === null ? [whySilent(phase, connected, commanded)] : said.why),
      ],
      sinceMs: said?.sinceMs ?? null,
      permit: said?.permit ?? false,
      peers: announced ? peers : [],
    };
  }

  private view(name: string, { value, revision }: Stored<ServiceValue>): AnycastServiceView {
    const { desired, edges } = this.deps;
    const { prefixes, namespace, nodes, minAnnouncers } = value.resource.spec;
    const bound = desired.selected(nodes);
    return {
      name,
      revision,
      prefixes,
      namespace,
      nodes,
      minAnnouncers,
      bound: bound.length,
      announcers: bound.filter((node) => edges.announces(node, name)),
    };
  }

  private stored(name: string): Stored<ServiceValue> {
    const stored = this.deps.desired.service(name);
    if (stored === null) throw notFound('AnycastService', name);
    return stored;
  }
}

/** Why an edge says nothing of a service that is bound to it. */
function whySilent(
  phase: ServiceEdgeView['phase'],
  connected: boolean,
  commanded: ServiceEdgeView['commanded'],
): string {
  if (phase === null) return 'the node is not onboarded';
  if (commanded === null) return `the node is ${phase}`;
  return connected ? 'its agent has not taken it up yet' : 'it was not heard of since';
}
