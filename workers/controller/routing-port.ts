/**
 * What the activities of routing do here: commands are keys, written under the governor; what edges and
 * observers say is read from memory, or asked.
 */
import type { RoutingPort } from '../../activities/routing';
import type { EtcdClient } from '../../adapters/etcd/client';
import { type Condition, unchanged } from '../../adapters/etcd/port';
import { PeerAway } from '../../adapters/peer/client';
import type { Stance } from '../../core/model/anycast';
import type { FilterAnswer, FilterQuestion } from '../../core/filter/questions';
import { ofWeights } from '../../core/model/compile-services';
import { factsOf, Refusal } from '../../core/model/errors';
import {
  admitted,
  floorHolds,
  type GovernorLimits,
  type GovernorValue,
  parseGovernor,
} from '../../core/model/governor';
import type { NodeName } from '../../core/model/ids';
import { keys } from '../../core/model/keys';
import type { Command, ServiceTraffic } from '../../core/model/routing';
import type {
  Commanded,
  EdgeRouting,
  NodeCommand,
  Picture,
  PlacedNode,
  PlacedService,
  Placement,
  Seen,
  ServiceCounters,
  TrafficCommand,
  Wish,
} from '../../core/model/routing-messages';
import {
  parseNodeRouting,
  parsePermits,
  parseServiceTraffic,
  valueText,
} from '../../core/model/values';
import { shardOf } from '../../core/ring/shard';
import { type DesiredState, readKey } from './desired';
import type { Fleet } from './fleet';
import {
  assertFloorsKnown,
  assertPicture,
  assertSelection,
  floorPicture,
  floorRefusal,
  governorFull,
  pictureMoved,
} from './governor';
import type { Observers } from './observers';
import { type Commands, cutTo, placedService } from './placement';
import type { Shards } from './shards';

export interface RoutingPortDependencies {
  etcd: EtcdClient;
  desired: DesiredState;
  shards: Shards;
  edges: Fleet;
  observers: Observers;
  limits: GovernorLimits;
  now: () => number;
}

const SERVICES: FilterQuestion = { kind: 'services' };
type ServicesAnswer = Extract<FilterAnswer, { kind: 'services' }>;

interface Governor {
  value: GovernorValue;
  revision: number;
}

/** One write of a command, before it is one. */
interface Order {
  wish: Wish;
  picture: Picture | null;
  /** Of whom it takes which services away. */
  leaving: Map<string, Set<NodeName>>;
  /** For people, and for the governor's memory. */
  what: string;
  shard: number;
  key: string;
  keyRevision: number;
  value: string;
}

export class ControllerRouting implements RoutingPort {
  readonly #deps: RoutingPortDependencies;

  constructor(dependencies: RoutingPortDependencies) {
    this.#deps = dependencies;
  }

  /** The governor is read first: whoever commands after that is noticed. */
  async placement(of: { node: NodeName } | { service: string }): Promise<Placement> {
    const { desired, edges } = this.#deps;
    if (!desired.ready) throw new Error('etcd was not read yet; nothing was changed');
    const { revision } = await this.#governor();
    const names = 'service' in of ? [of.service] : desired.servicesOf(of.node);
    const commands = await this.#commands();
    const about = 'node' in of ? of.node : null;
    const placed = await Promise.all(names.map((name) => this.#placed(name, commands, about)));
    const services = placed.flatMap((each) => each ?? []);
    return {
      governorRevision: revision,
      services: about === null ? services : services.map((each) => cutTo(about, each, edges)),
    };
  }

  async routingOf(nodes: NodeName[]): Promise<EdgeRouting[]> {
    const { edges, shards } = this.#deps;
    const strange = nodes.find((node) => !shards.holds(shardOf(node)));
    if (strange !== undefined) {
      const shard = shardOf(strange);
      const ownerRevision = shards.fence(shard)?.ownerRevision ?? 0;
      throw new Refusal({ code: 'StaleFence', shard, ownerRevision }, `Shard ${shard} has moved.`);
    }
    const known = nodes.filter((node) => edges.get(node) !== null);
    return Promise.all(known.map((node) => this.#routingOf(node)));
  }

  commandNode(command: NodeCommand): Promise<Commanded> {
    return untilWritten(command, () => this.#commandNode(command));
  }

  async #commandNode(command: NodeCommand): Promise<Commanded> {
    const { etcd, desired } = this.#deps;
    const { node, stance } = command;
    const key = keys.routing(node);
    const stored = readKey(await etcd.get(key), parseNodeRouting);
    // Nothing was ever commanded: that is the stance of a node that is left alone.
    const present = stored?.value.command.stance ?? 'announce';
    if (present === stance) return { revision: stored?.revision ?? 0, left: {} };
    if (desired.inputs(node).node === null) throw noSuch(`there is no node ${node}`);
    const isLeaving = stance === 'withdraw';
    if (isLeaving && !command.force) assertFloorsKnown(node, desired);
    const away = isLeaving ? desired.servicesOf(node) : [];
    return this.#write({
      wish: command,
      picture: command.picture,
      leaving: new Map(away.map((service) => [service, new Set([node])])),
      what: `${node}: ${stance}`,
      shard: shardOf(node),
      key,
      keyRevision: stored?.revision ?? 0,
      value: valueText({ command: this.#command(stance, command) }),
    });
  }

  commandTraffic(command: TrafficCommand): Promise<Commanded> {
    return untilWritten(command, () => this.#commandTraffic(command));
  }

  async #commandTraffic(command: TrafficCommand): Promise<Commanded> {
    const { etcd } = this.#deps;
    const { service, regions, nodes } = command;
    const placed = await this.#placed(service, await this.#commands());
    assertSelection(service, placed, command);
    const key = keys.traffic(service);
    const stored = readKey(await etcd.get(key), parseServiceTraffic);
    const traffic = stored?.value ?? { regions: {} };
    const next = {
      regions: this.#changed(traffic.regions, regions, command),
      nodes: this.#changed(traffic.nodes ?? {}, nodes, command),
    };
    if (
      sameStances(traffic.regions, next.regions) &&
      sameStances(traffic.nodes ?? {}, next.nodes)
    ) {
      return { revision: stored?.revision ?? 0, left: {} };
    }
    const leaving = placed === null ? [] : goingBy(placed, traffic, next);
    return this.#write({
      wish: command,
      picture: command.picture,
      leaving: new Map(leaving.length === 0 ? [] : [[service, new Set(leaving)]]),
      what: `${service}: ${stanceText({ ...regions, ...nodes })}`,
      shard: shardOf(service),
      key,
      keyRevision: stored?.revision ?? 0,
      value: valueText(next),
    });
  }

  async seenAt(prefixes: string[], nodes: NodeName[]): Promise<Seen> {
    const { observers, edges } = this.#deps;
    const unplaced = nodes.filter((node) => !edges.isPlaced(node));
    const seen = await observers.seenAt(prefixes);
    return unplaced.length === 0 ? seen : { ...seen, unplaced };
  }

  async countersOf(node: NodeName, addresses: string[]): Promise<ServiceCounters> {
    const { edges, now } = this.#deps;
    const edge = edges.get(node);
    const absent = (why: string): Refusal =>
      new Refusal(
        { code: 'EdgeAbsent', node, lastSeenMs: edge && Math.round(now() - edge.seenAgoMs) },
        `Edge ${node} does not tell its counters: ${why}.`,
      );
    if (!edge?.connected) throw absent('it is not connected');
    const answer = await edges.askFilter(node, SERVICES).catch((error: unknown) => {
      const stays = edges.get(node);
      if (error instanceof PeerAway || !stays?.connected || stays.stream !== edge.stream) {
        throw absent((error as Error).message);
      }
      // An agent of a former version, or one without a filter.
      return null;
    });
    const { atMs = now(), services = [] } = (answer ?? {}) as Partial<ServicesAnswer>;
    const counted = new Map(services.map(({ address, packets }) => [address, packets]));
    const packets = addresses.map((address) => [address, counted.get(address) ?? null] as const);
    return { atMs, packets: Object.fromEntries(packets) };
  }

  // ---- Reading --------------------------------------------------------------------------------

  async #governor(): Promise<Governor> {
    const stored = readKey(await this.#deps.etcd.get(keys.governor), parseGovernor);
    return stored ?? { value: { withdrawals: [] }, revision: 0 };
  }

  /** Of nodes, from etcd itself: a workflow must see what it has just had written. */
  async #commands(): Promise<Commands['commands']> {
    const { entries } = await this.#deps.etcd.list({ prefix: keys.routings });
    return new Map(
      entries.flatMap((entry) => {
        const command = readKey(entry, parseNodeRouting)?.value.command;
        return command ? [[entry.key.slice(keys.routings.length), command] as const] : [];
      }),
    );
  }

  async #placed(
    service: string,
    commands: Commands['commands'],
    also: NodeName | null = null,
  ): Promise<PlacedService | null> {
    const { etcd, desired } = this.#deps;
    const stored = desired.service(service);
    if (stored === null) return null;
    const entry = await etcd.get(keys.traffic(service));
    const traffic = readKey(entry, parseServiceTraffic)?.value ?? { regions: {} };
    return placedService(desired, stored.value.resource, { traffic, commands }, also);
  }

  async #routingOf(node: NodeName): Promise<EdgeRouting> {
    const { edges, now } = this.#deps;
    const edge = edges.get(node);
    const connected = edge?.connected ?? false;
    const status = connected ? await edges.status(node).catch(() => null) : null;
    const routing = edges.get(node)?.routing ?? null;
    const hasNone = status !== null && status.routing === undefined;
    return {
      node,
      connected,
      atMs: routing?.status.atMs ?? (hasNone ? now() : null),
      acceptedRevision: status?.accepted?.revision ?? null,
      services: (routing?.status.services ?? []).map(
        ({ service, stance, announced, proven, why }) => ({
          service,
          stance,
          announced,
          ...(proven === undefined ? {} : { proven }),
          why,
        }),
      ),
      neighbors: (routing?.status.neighbors ?? []).map(
        ({ address, localAddress, state, held, bfd }) => ({
          address,
          localAddress,
          state,
          held: held !== null,
          ...(bfd === null ? {} : { bfd: bfd.state }),
        }),
      ),
    };
  }

  // ---- Writing --------------------------------------------------------------------------------

  #command(stance: Stance, { reason, by }: Wish): Command {
    return { stance, reason, by, atMs: this.#deps.now() };
  }

  /** `null` in `wanted`: no command any more. One that stands as it was keeps who gave it. */
  #changed(
    present: Record<string, Command>,
    wanted: Record<string, Stance | null>,
    wish: Wish,
  ): Record<string, Command> {
    const next = { ...present };
    for (const [name, stance] of Object.entries(wanted)) {
      if (stance === null) delete next[name];
      else if (present[name]?.stance !== stance) next[name] = this.#command(stance, wish);
    }
    return next;
  }

  /** In one transaction, under the picture that it was decided by. */
  async #write(order: Order): Promise<Commanded> {
    const { shards, limits, now } = this.#deps;
    const governor = await this.#governor();
    assertPicture(order.picture, governor.revision);
    const { left, conditions } = await this.#assertFloors(order);
    const { what, wish } = order;
    const withdrawal = order.leaving.size > 0 ? { what, by: wish.by } : null;
    const verdict = admitted(governor.value, withdrawal, now(), limits);
    if (!verdict.ok) throw governorFull(limits, verdict.freesAtMs);
    const outcome = await shards.write(
      order.shard,
      [
        unchanged(order.key, order.keyRevision),
        // Who gives announcers back is in nobody's way.
        ...(order.picture === null ? [] : [unchanged(keys.governor, governor.revision)]),
        ...conditions,
      ],
      [
        { op: 'put', key: order.key, value: order.value },
        ...(order.picture === null
          ? []
          : [{ op: 'put', key: keys.governor, value: JSON.stringify(verdict.next) } as const]),
      ],
    );
    if (outcome.committed) return { revision: outcome.revision, left };
    const actual = outcome.found.find(({ key }) => key === keys.governor)?.modRevision ?? 0;
    throw pictureMoved(governor.revision, actual);
  }

  /** Each floor that it could break; permits are read in the same breath, and must stay as they are. */
  async #assertFloors({ leaving, picture, wish }: Order) {
    const left: Record<string, number> = {};
    const conditions: Condition[] = [];
    if (leaving.size === 0) return { left, conditions };
    const commands = await this.#commands();
    for (const [service, nodes] of leaving) {
      const placed = await this.#placed(service, commands);
      if (placed === null) continue;
      const permits = readKey(await this.#deps.etcd.get(keys.permits(service)), parsePermits);
      conditions.push(unchanged(keys.permits(service), permits?.revision ?? 0));
      const holders = Object.keys(permits?.value.holders ?? {});
      const verdict = floorHolds(floorPicture(placed, picture, holders), nodes);
      if (!verdict.ok && !wish.force) throw floorRefusal(placed, verdict);
      left[service] = verdict.left.length;
    }
    return { left, conditions };
  }
}

const noSuch = (problem: string): Refusal =>
  new Refusal({ code: 'InvalidInput', problems: [problem] }, `${problem}; nothing was written.`);

/** Somebody else wrote the same key meanwhile: who rests on no picture reads it again. */
const TRIES = 10;

async function untilWritten(
  { picture }: Pick<NodeCommand, 'picture'>,
  write: () => Promise<Commanded>,
): Promise<Commanded> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await write();
    } catch (error) {
      const moved = picture === null && factsOf(error, 'PictureMoved') !== null;
      if (!moved || tries === TRIES) throw error;
    }
  }
}

/** Nodes that go by it: told so, or because their weight says so where no command stands any more. */
function goingBy(
  { nodes, regions }: PlacedService,
  before: ServiceTraffic,
  after: ServiceTraffic,
): NodeName[] {
  const stance = (of: ServiceTraffic, { node, region }: PlacedNode): Stance => {
    const command = of.nodes?.[node] ?? of.regions[region];
    return command?.stance ?? ofWeights({ regions }, region).stance;
  };
  return nodes
    .filter((node) => stance(after, node) === 'withdraw' && stance(before, node) !== 'withdraw')
    .map(({ node }) => node);
}

const stanceText = (wanted: Record<string, Stance | null>): string =>
  Object.entries(wanted)
    .map(([name, stance]) => `${name} ${stance ?? 'as its weight says'}`)
    .join(', ');

const sameStances = (a: Record<string, Command>, b: Record<string, Command>): boolean =>
  Object.keys(a).length === Object.keys(b).length &&
  Object.entries(a).every(([name, { stance }]) => b[name]?.stance === stance);
