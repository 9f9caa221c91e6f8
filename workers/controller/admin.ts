/** What the admin API does here: the verbs of operators, over etcd, edges and workflows. */
import type { Logger } from 'pino';
import type { EtcdClient } from '../../adapters/etcd/client';
import { AdminError, type AdminPort, type AdminVerbs, type Verb } from '../../adapters/admin/proto';
import type { NodeFacts, TemporalClient } from '../../adapters/temporal/client';
import { RoutingClient } from '../../adapters/temporal/routing-client';
import { readQuestion } from '../../core/filter/questions';
import type { Keyed } from '../../core/model/compile';
import { refusalIn } from '../../core/model/errors';
import { AUDIT_SCHEDULE, type NodeName, SHARD_COUNT, workflowId } from '../../core/model/ids';
import { keys } from '../../core/model/keys';
import type { EdgeStatus, LifecycleState } from '../../core/model/messages';
import type { Kind } from '../../core/model/resources';
import { type FreezeValue, valueText } from '../../core/model/values';
import type {
  ClusterStatus,
  ControllerStatus,
  NodeDescription,
  NodeRoutingView,
  NodeView,
} from '../../core/model/views';
import type { Blobs } from './blobs';
import { assertRead, guarded, kindNamed, notFound, refused } from './admin-errors';
import { BlocklistVerbs } from './blocklist-verbs';
import { assertDeclaredFloors, assertUnannounced } from './declared-floors';
import type { DesiredState } from './desired';
import type { Fleet } from './fleet';
import type { Observers } from './observers';
import type { Shards } from './shards';
import { changeNotes } from './change-notes';
import { FailedOnboardings } from './failed-onboardings';
import { explain, type Knowledge, viewOf } from './explain';
import { type BoundKind, type Guard, newIncarnation, Resources } from './resources';
import type { RingVerbs } from './ring-verbs';
import type { OwnStatus } from './own-status';
import { RoutingVerbs } from './routing-verbs';
import { ServiceVerbs } from './service-verbs';
import { wouldBeSteps } from './would-be';

export interface AdminDependencies {
  etcd: EtcdClient;
  blobs: Blobs;
  guard: Guard;
  desired: DesiredState;
  edges: Fleet;
  /** When the newest certificate was issued that this edge has shown; null: it has shown none. */
  shown: (node: NodeName) => number | null;
  shards: Shards;
  observers: Observers;
  ring: RingVerbs;
  facts: (node: NodeName) => NodeFacts;
  /** Null before the first connection. */
  temporal: () => TemporalClient | null;
  temporalUp: () => boolean;
  /** An open drift of this node may be decided otherwise now. */
  reconsider: (node: NodeName) => void;
  status: () => OwnStatus;
  log: Logger;
}

const inForce = (freeze: Keyed<FreezeValue>): FreezeValue | null =>
  freeze?.value.frozen ? freeze.value : null;

/** Of one node's runs, `describe` shows as many. */
const WORKFLOWS_SHOWN = 20;

/** Less than a call may last (adapters/admin/client.ts). */
const REFRESH_WAIT_MS = 25_000;

type Request<V extends Verb> = AdminVerbs[V]['request'];
type Answer<V extends Verb> = Promise<AdminVerbs[V]['response']>;

type Listed = Kind | 'Block';

const listed = (kind: string): Listed => (kind === 'Block' ? kind : kindNamed(kind));

interface KindVerbs {
  describe(name: string): Answer<'describe'>;
  delete(name: string, force: boolean): Answer<'delete'>;
}

export class Admin {
  readonly #deps: AdminDependencies;
  readonly #resources: Resources;
  readonly #blocklists: BlocklistVerbs;
  readonly #services: ServiceVerbs;
  readonly #routing: RoutingVerbs;
  readonly #failed: FailedOnboardings;
  /** What can be listed: resources, and what is no resource. */
  readonly #lists: Record<Listed, (name: string | null) => Answer<'get'>> = {
    Node: (name) => this.get(name),
    Blocklist: async (name) => this.#blocklists.get(name),
    AnycastService: async (name) => this.#services.get(name),
    Block: async (prefix) => this.#blocklists.blocks(prefix),
  };
  /** What the other verbs on resources do, for each kind. */
  readonly #kinds: Record<Kind, KindVerbs> = {
    Node: {
      describe: (name) => this.describe(name),
      delete: (name, force) => this.delete(name, force),
    },
    Blocklist: {
      describe: async (name) => this.#blocklists.describe(name),
      delete: (name) => this.deleteBound('Blocklist', name),
    },
    AnycastService: {
      describe: async (name) => this.#services.describe(name),
      delete: async (name, force) => {
        if (!force) assertUnannounced(name, this.#deps.desired, this.#deps.edges);
        return this.deleteBound('AnycastService', name);
      },
    },
  };

  constructor(dependencies: AdminDependencies) {
    this.#deps = dependencies;
    this.#blocklists = new BlocklistVerbs(dependencies);
    this.#services = new ServiceVerbs({
      ...dependencies,
      workflows: () => {
        const client = dependencies.temporalUp() ? dependencies.temporal() : null;
        return client && new RoutingClient(client.client);
      },
    });
    const { desired, temporal, temporalUp } = dependencies;
    this.#failed = new FailedOnboardings(desired, () => (temporalUp() ? temporal() : null));
    this.#routing = new RoutingVerbs({
      ...dependencies,
      workflows: () => new RoutingClient(this.temporal().client),
    });
    this.#resources = new Resources(dependencies.etcd, dependencies.guard, dependencies.blobs);
  }

  /** As the server wants it: whatever is out of reach becomes UNAVAILABLE, writes leave a line. */
  port(): AdminPort {
    return {
      plan: guarded((request) => this.plan(request)),
      apply: guarded((request) => this.apply(request)),
      get: guarded(({ kind, name }) => this.#lists[listed(kind)](name)),
      describe: guarded(({ kind, name }) => this.#kinds[kindNamed(kind)].describe(name)),
      explain: guarded(async ({ node }) => ({
        ...explain(await this.ask(node)),
        notAnnounced: this.#services.notAnnounced(node),
      })),
      delete: guarded(({ kind, name, force }) => this.#kinds[kindNamed(kind)].delete(name, force)),
      audit: guarded(async () => this.audit()),
      freeze: guarded((request, by) => this.freeze(request, by)),
      approve: guarded((request, by) => this.approve(request, by)),
      status: guarded(async () => this.status()),
      block: guarded((request, by) => this.#blocklists.block(request, by)),
      refreshBlocklist: guarded(({ name }) => this.refreshBlocklist(name)),
      askFilter: guarded((request) => this.askFilter(request)),
      route: guarded((request, by) => this.#routing.route(request, by)),
      routeProgress: guarded(({ workflowId: id }) => this.#routing.progress(id)),
      routing: guarded(async ({ node }) => this.#routing.routing(node)),
      members: guarded(async () => this.#deps.ring.members()),
      ring: guarded(async () => this.#deps.ring.ring()),
      drainController: guarded(({ controller, draining }) =>
        this.#deps.ring.drain(controller, draining),
      ),
    };
  }

  private async plan(request: Request<'plan'>) {
    const { desired, edges } = this.#deps;
    const planned = await this.#resources.plan(request);
    const wanted = planned.map(({ resource }) => resource);
    return planned.map(({ change: bare, resource, stored }) => {
      if (bare.action === 'none') return bare;
      const change = { ...bare, notes: changeNotes({ resource, stored, wanted }, desired) };
      if (change.action !== 'update' || resource.kind !== 'Node') return change;
      const present = desired.of(change.name);
      // Of another host than the wanted one nobody knows here what it would take.
      const known = edges.get(change.name)?.connected && this.view(change.name).converged;
      const steps = known && present.spec ? wouldBeSteps(present.spec, resource) : [];
      return { ...change, steps };
    });
  }

  private async apply(request: Request<'apply'>) {
    const { desired, edges } = this.#deps;
    return this.#resources.apply(request, (wanted) => {
      if (!request.force) assertDeclaredFloors(wanted, desired, edges);
    });
  }

  private async get(name: NodeName | null): Promise<NodeView[]> {
    const { desired } = this.#deps;
    assertRead(desired);
    if (name !== null) return [viewOf(await this.ask(name))];
    const names = desired.names();
    const failed = await this.#failed.of(names);
    return names.map((node) => this.view(node, failed.get(node)));
  }

  private async describe(node: NodeName): Promise<NodeDescription> {
    const known = await this.ask(node);
    const temporal = this.#deps.temporalUp() ? this.#deps.temporal() : null;
    const none: [LifecycleState | null, NodeDescription['workflows']] = [null, []];
    const [lifecycle, workflows] = temporal
      ? await Promise.all([
          temporal.lifecycleState(node).catch(() => null),
          temporal.workflowsOf(node, WORKFLOWS_SHOWN).catch(() => []),
        ])
      : none;
    const { resource, status } = known;
    const [routing] = this.#routing.routing(node) as [NodeRoutingView];
    return { view: viewOf(known), resource, lifecycle, edge: status, routing, workflows };
  }

  private async deleteBound(kind: BoundKind, name: string) {
    const revision = await this.#resources.remove(kind, name);
    return { deletionRevision: revision, workflowId: '' };
  }

  private async refreshBlocklist(name: string) {
    const { desired } = this.#deps;
    assertRead(desired);
    const stored = desired.blocklist(name);
    if (stored === null) throw notFound('Blocklist', name);
    if (stored.value.resource.spec.feed === null) {
      throw refused(`Blocklist ${name} has no feed; nothing was done.`);
    }
    const result = await this.temporal().refreshBlocklist(name, REFRESH_WAIT_MS);
    return { workflowId: workflowId.refreshBlocklist(name), result };
  }

  private async askFilter({ node, question }: Request<'askFilter'>) {
    assertRead(this.#deps.desired);
    if (!this.#deps.desired.inputs(node).node) throw notFound('Node', node);
    if (readQuestion(JSON.stringify(question)) === null) {
      const message = 'This is no question for a filter; nothing was asked.';
      throw new AdminError({ code: 'invalid', message, issues: [] });
    }
    try {
      return await this.#deps.edges.askFilter(node, question);
    } catch (error) {
      throw new AdminError({ code: 'unavailable', message: (error as Error).message });
    }
  }

  private async delete(name: NodeName, force: boolean) {
    const temporal = force ? this.temporal() : null;
    const { value } = await this.#resources.node(name);
    const deletionRevision = await this.#resources.markForDeletion(name);
    // Without force the mark is enough: whoever owns the node sees it, now or later.
    await temporal?.startDecommission(
      { node: name, region: value.resource.metadata.region },
      { node: name, revision: deletionRevision, force },
    );
    return { deletionRevision, workflowId: workflowId.decommission(name) };
  }

  private async audit() {
    assertRead(this.#deps.desired);
    await this.temporal().triggerAudit();
    return { schedule: AUDIT_SCHEDULE, nodes: this.#deps.desired.names().length };
  }

  private async freeze({ node, frozen, reason }: Request<'freeze'>, by: string) {
    const { etcd, guard, desired, edges, reconsider } = this.#deps;
    if (node !== null) await this.#resources.node(node);
    const value: FreezeValue = { frozen, reason, by, atMs: Date.now() };
    const key = node === null ? keys.freeze : keys.override(node);
    const outcome = await etcd.write([guard()], [{ op: 'put', key, value: valueText(value) }]);
    if (!outcome.committed) throw newIncarnation();
    for (const name of node === null ? desired.names() : [node]) {
      if (edges.get(name)?.open) reconsider(name);
    }
    return { revision: outcome.revision };
  }

  private async approve({ node, planHash }: Request<'approve'>, by: string) {
    await this.#resources.node(node);
    const incidentId = this.#deps.edges.get(node)?.open?.incidentId ?? '';
    try {
      await this.temporal().approve(node, planHash, by);
    } catch (error) {
      const refusal = refusalIn(error);
      const message =
        refusal?.message ??
        (error instanceof Error && error.name === 'WorkflowNotFoundError'
          ? `No repair of ${node} waits for anything. Look at: aether explain node ${node}`
          : null);
      if (message === null) throw error;
      throw new AdminError({ code: 'precondition', message });
    }
    return { incidentId };
  }

  private status(): ClusterStatus {
    const { desired, edges, ring, status } = this.#deps;
    const views = desired.names().map((node) => this.view(node));
    return {
      ...status(),
      controllers: this.controllers(),
      dead: ring.dead(),
      nodes: desired.ready
        ? {
            total: views.length,
            connected: edges.connectedNodes().length,
            converged: views.filter(({ converged }) => converged).length,
          }
        : null,
      frozen: desired.freeze?.value.frozen ?? false,
    };
  }

  private controllers(): ControllerStatus[] {
    const { desired, edges, status } = this.#deps;
    const own = status();
    const shards = Array.from({ length: SHARD_COUNT }, (_, shard) => desired.owner(shard));
    const at = edges.connectedNodes().map((node) => edges.get(node)?.at);
    return desired.controllers().map(([id, { draining, edgeAddress, adminAddress }]) => ({
      id,
      heard: edges.hears(id),
      draining,
      shards: shards.filter((owner) => owner?.value.controller === id).length,
      edges: at.filter((each) => each === id).length,
      edgeAddress,
      adminAddress,
      certificates: id === own.controller ? own.certificates : edges.certificatesOf(id),
    }));
  }

  // ---- What is known of a node ----------------------------------------------------------------

  /** From memory. */
  private view(node: NodeName, onboardFailed: string | null = null): NodeView {
    const known = this.know(node, null, onboardFailed);
    if (!known) throw notFound('Node', node);
    return viewOf(known);
  }

  /** With what its edge says now. */
  private async ask(node: NodeName): Promise<Knowledge> {
    assertRead(this.#deps.desired);
    const status = await this.#deps.edges.status(node).catch(() => null);
    const failed = await this.#failed.of([node]);
    const known = this.know(node, status, failed.get(node));
    if (!known) throw notFound('Node', node);
    return known;
  }

  private know(
    node: NodeName,
    status: EdgeStatus | null,
    onboardFailed: string | null = null,
  ): Knowledge | null {
    const { desired, edges, temporalUp } = this.#deps;
    const inputs = desired.inputs(node);
    if (!inputs.node) return null;
    return {
      node,
      resource: inputs.node.value.resource,
      desired: desired.of(node),
      frozen: { node: inForce(inputs.override), global: inForce(inputs.freeze) },
      edge: edges.get(node),
      status,
      certificateIssuedAtMs: this.#deps.shown(node),
      onboardFailed,
      isUnheard: edges.isUnheard(node),
      silentOwner: edges.silentOwner(node),
      temporalUp: temporalUp(),
      nowMs: Date.now(),
    };
  }

  private temporal(): TemporalClient {
    const { temporal, temporalUp, status } = this.#deps;
    const client = temporal();
    if (client && temporalUp()) return client;
    const message = `Temporal at ${status().temporal.address} is not in reach; nothing was done.`;
    throw new AdminError({ code: 'unavailable', message });
  }
}
