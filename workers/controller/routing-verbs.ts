/**
 * What operators have done about routing: each verb starts or signals a workflow, which does it and tells
 * how. What can be refused at once, with names, is refused here; the workflow looks again by itself.
 */
import { AdminError, type RouteAnswer, type RouteOrder } from '../../adapters/admin/proto';
import type { NodeFacts } from '../../adapters/temporal/client';
import type { RoutingClient } from '../../adapters/temporal/routing-client';
import { floorHolds } from '../../core/model/governor';
import { type NodeName, workflowId } from '../../core/model/ids';
import type { Command } from '../../core/model/routing';
import type { PlacedService } from '../../core/model/routing-messages';
import type { NodeRoutingView, RouteProgress } from '../../core/model/views';
import { assertRead, notFound, refused } from './admin-errors';
import type { DesiredState } from './desired';
import type { Fleet } from './fleet';
import { assertFloorsKnown, floorPicture, floorRefusal } from './governor';
import { commandsOf, placedService } from './placement';

export interface RoutingVerbsDependencies {
  desired: DesiredState;
  edges: Fleet;
  /** Throws UNAVAILABLE where Temporal is away. */
  workflows: () => RoutingClient;
  facts: (node: NodeName) => NodeFacts;
}

type Order<K extends 'node' | 'service'> = RouteOrder & Record<K, string>;

export class RoutingVerbs {
  constructor(private readonly deps: RoutingVerbsDependencies) {}

  async route(order: RouteOrder, by: string): Promise<RouteAnswer> {
    assertRead(this.deps.desired);
    return this.start(order, by);
  }

  async progress(id: string): Promise<RouteProgress> {
    const found = await this.deps.workflows().progress(id);
    if (found !== null) return found;
    throw new AdminError({ code: 'notFound', message: `There is no workflow ${id}.` });
  }

  routing(node: NodeName | null): NodeRoutingView[] {
    const { desired } = this.deps;
    assertRead(desired);
    const names = node === null ? desired.names() : [node];
    return names.map((name) => nodeRouting(this.deps, name));
  }

  private start(order: RouteOrder, by: string): Promise<RouteAnswer> {
    const { verb } = order;
    if ((order.node === null) === (order.service === null)) throw one();
    if (hasNode(order)) {
      if (!this.deps.desired.inputs(order.node).node) throw notFound('Node', order.node);
      if (verb === 'drain') return this.drainNode(order, by);
      if (verb === 'undrain') return this.undrainNode(order, by);
      if (verb === 'quarantine') return this.quarantine(order, by);
      if (verb === 'release') return this.release(order, by);
    }
    if (hasService(order)) {
      const placed = this.placed(order.service);
      if (verb === 'drain') return this.drainService(order, placed, by);
      if (verb === 'undrain') return this.undrainService(order, placed, by);
      if (verb === 'failover') return this.failover(order, placed, by);
      if (verb === 'failBack') return this.failBack(order, by);
    }
    throw one();
  }

  // ---- Of a node --------------------------------------------------------------------------------

  private async drainNode({ node, reason, force }: Order<'node'>, by: string) {
    const { desired, facts, workflows } = this.deps;
    if (!force) assertFloorsKnown(node, desired);
    for (const service of force ? [] : desired.servicesOf(node)) {
      this.assertFloor(this.placed(service), new Set([node]));
    }
    await this.assertNotReturning(node, workflowId.drain(node));
    const input = { node, reason, by, force };
    return started(await workflows().drainNode(facts(node), input));
  }

  private async undrainNode({ node, reason, force }: Order<'node'>, by: string) {
    const { desired, facts, workflows } = this.deps;
    const hand = { by, reason, force };
    const going = await workflows().byHand(workflowId.drain(node), 'undrain', hand);
    if (going !== null) return started(going, false);
    // A drain or a return that was terminated leaves its phase behind, whatever is commanded.
    const { phase } = desired.of(node);
    if (phase !== 'draining' && phase !== 'quarantined') {
      assertAway(node, desired.routing(node)?.value.command ?? null);
    }
    const input = { node, reason, by, undo: true, force };
    return started(await workflows().drainNode(facts(node), input));
  }

  private async quarantine({ node, reason, forMs }: Order<'node'>, by: string) {
    const { facts, workflows } = this.deps;
    if (forMs === 0) throw refused('A quarantine has an end; say for how long.');
    const input = { node, reason: `${reason} (${by})`, untilMs: Date.now() + forMs };
    return started(await workflows().quarantine(facts(node), input));
  }

  private async release({ node, reason }: Order<'node'>, by: string) {
    const id = workflowId.quarantine(node);
    const going = await this.deps.workflows().byHand(id, 'release', { by, reason });
    if (going === null) {
      const left = this.deps.desired.of(node).phase === 'quarantined';
      const hint = left ? ` by a workflow that runs; aether undrain ${node} brings it back` : '';
      throw refused(`${node} is not quarantined${hint}; nothing was done.`);
    }
    return started(going, false);
  }

  // ---- Of a service -----------------------------------------------------------------------------

  private async drainService(
    { service, from, reason, force }: Order<'service'>,
    placed: PlacedService,
    by: string,
  ) {
    const nodes = placed.nodes.filter(({ region }) => from === null || region === from);
    if (nodes.length === 0) {
      throw refused(`No node of ${service} is in ${from ?? 'any region'}; nothing was done.`);
    }
    if (!force) this.assertFloor(placed, new Set(nodes.map(({ node }) => node)));
    await this.assertNotReturning(service, workflowId.drainService(service));
    const regions = from === null ? null : [from];
    const input = { service, regions, reason, by, force };
    return started(await this.deps.workflows().drainService(input));
  }

  private async undrainService(
    { service, from, reason, force }: Order<'service'>,
    { traffic }: PlacedService,
    by: string,
  ) {
    const { workflows } = this.deps;
    const id = workflowId.drainService(service);
    const going = await workflows().byHand(id, 'undrain', { by, reason });
    if (going !== null) return started(going, false);
    const away = Object.entries(traffic).filter(
      ([name, { stance }]) => stance !== 'announce' && (from === null || name === from),
    );
    assertAway(service, away[0]?.[1] ?? null);
    const held = force ? [] : await this.heldByFailover(service, away);
    const free = away.filter(([name]) => !held.includes(name)).map(([name]) => name);
    if (free.length === 0) {
      const what = `${service} has left ${held.join(', ')} by ${workflowId.failover(service)}`;
      throw refused(
        `${what}, which returns after its hold-down, or by: aether failover ${service} --back; nothing was done.`,
      );
    }
    const regions = from === null && held.length === 0 ? null : free;
    const input = { service, regions, reason, by, undo: true, force };
    return started(await workflows().drainService(input));
  }

  private async failover(
    { service, from, to, reason, force }: Order<'service'>,
    { nodes }: PlacedService,
    by: string,
  ) {
    if (from === null || to === null || from === to) {
      throw refused('A failover goes from one region to another one; nothing was done.');
    }
    for (const region of [from, to]) {
      if (nodes.some((each) => each.region === region)) continue;
      throw refused(`No node of ${service} is in region ${region}; nothing was done.`);
    }
    const evidence = { atMs: Date.now(), region: from, state: 'down' as const, what: reason };
    const input = { service, evidence, by, planned: true, to, force };
    const run = await this.deps.workflows().failover(input);
    if (run !== null) return started(run);
    throw refused(
      `A failover of ${service} is under way (${workflowId.failover(service)}); wait for it, or cancel it.`,
    );
  }

  private async failBack({ service, reason }: Order<'service'>, by: string) {
    const id = workflowId.failover(service);
    const going = await this.deps.workflows().byHand(id, 'failBack', { by, reason });
    if (going === null) throw refused(`${service} is not failed over; nothing was done.`);
    return started(going, false);
  }

  /** Regions that a failover has left, and will return to by itself. */
  private async heldByFailover(
    service: string,
    away: readonly (readonly [string, Command])[],
  ): Promise<string[]> {
    const id = workflowId.failover(service);
    const left = away.filter(([, { by }]) => by === id).map(([name]) => name);
    if (left.length === 0) return [];
    const going = await this.deps.workflows().progress(id);
    return going?.status === 'RUNNING' ? left : [];
  }

  /** A drain joins what is under way by its id: a return would take nothing away. */
  private async assertNotReturning(what: string, id: string): Promise<void> {
    const going = await this.deps.workflows().progress(id);
    if (going?.status !== 'RUNNING' || going.progress?.returning !== true) return;
    throw refused(
      `${what} is being brought back (${id}); wait for it, or cancel it; nothing was done.`,
    );
  }

  // ---- What is known ----------------------------------------------------------------------------

  private placed(service: string): PlacedService {
    const { desired } = this.deps;
    const stored = desired.service(service);
    if (stored === null) throw notFound('AnycastService', service);
    return placedService(desired, stored.value.resource, commandsOf(desired, service));
  }

  /** Permits are called back meanwhile; what they do not allow yet, the workflow waits for. */
  private assertFloor(placed: PlacedService, leaving: ReadonlySet<NodeName>): void {
    const { edges } = this.deps;
    const { service, nodes } = placed;
    // Of some nobody knows now whether they announce it: the workflow asks their owners.
    if (nodes.some(({ node }) => edges.isUnheard(node))) return;
    const announcers = nodes
      .map(({ node }) => node)
      .filter((node) => edges.announces(node, service));
    const unproven = announcers.filter((node) => edges.announcesUnproven(node, service));
    const seen = { announcers: { [service]: announcers }, unproven: { [service]: unproven } };
    const picture = floorPicture(placed, seen, []);
    const verdict = floorHolds(picture, leaving);
    if (!verdict.ok) throw floorRefusal(placed, verdict);
  }
}

export function nodeRouting(
  { desired, edges }: Pick<RoutingVerbsDependencies, 'desired' | 'edges'>,
  node: NodeName,
): NodeRoutingView {
  const value = desired.inputs(node).node?.value;
  if (!value) throw notFound('Node', node);
  const edge = edges.get(node);
  const routing = edge?.routing ?? null;
  return {
    node,
    region: value.resource.metadata.region,
    connected: edge?.connected ?? false,
    command: desired.routing(node)?.value.command ?? null,
    heardAtMs: routing && Math.round(Date.now() - routing.heardAgoMs),
    status: routing?.status ?? null,
  };
}

const hasNode = (order: RouteOrder): order is Order<'node'> => order.node !== null;
const hasService = (order: RouteOrder): order is Order<'service'> => order.service !== null;

const started = ({ workflowId: id }: { workflowId: string }, fresh = true): RouteAnswer => ({
  workflowId: id,
  started: fresh,
});

const one = (): AdminError => {
  const message = 'This verb takes one node, or one service; nothing was done.';
  return new AdminError({ code: 'invalid', message, issues: [] });
};

function assertAway(what: string, command: Command | null): void {
  if (command !== null && command.stance !== 'announce') return;
  throw refused(`${what} is not drained; nothing was done.`);
}
