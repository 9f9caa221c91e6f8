/**
 * What the activities of routing do here: commands are keys, written under the governor; what edges and
 * observers say is read from memory, or asked.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RoutingPort } from '../../activities/routing';
import type { EtcdClient } from '../../adapters/etcd/client';
import { type Change, type Condition, unchanged } from '../../adapters/etcd/port';
import { PeerAway } from '../../adapters/peer/client';
import { InTurn } from '../../adapters/state/in-turn';
import type { Stance } from '../../core/model/anycast';
import type { FilterAnswer, FilterQuestion } from '../../core/filter/questions';
import { ofWeights } from '../../core/model/compile-services';
import { Refusal } from '../../core/model/errors';
import {
  admitted,
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
  PlacedNode,
  PlacedService,
  Placement,
  Seen,
  ServiceCounters,
  TrafficCommand,
  Wish,
} from '../../core/model/routing-messages';
import { parseNodeRouting, valueText } from '../../core/model/values';
import { shardOf } from '../../core/ring/shard';
import { type DesiredState, readKey } from './desired';
import type { Fleet } from './fleet';
import { Floors, type Withdrawal } from './floors';
import {
  assertFloorsKnown,
  assertSelection,
  governorFull,
  isMoved,
  pictureMoved,
} from './governor';
import type { Observers } from './observers';
import { cutTo } from './placement';
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
interface Order extends Withdrawal {
  /** For people, and for the governor's memory. */
  what: string;
  shard: number;
  key: string;
  keyRevision: number;
  value: string;
}

/** What the governor asks of a write, and adds to it. */
interface Governed extends Pick<Commanded, 'left'> {
  conditions: Condition[];
  changes: Change[];
}

const UNGOVERNED: Governed = { left: {}, conditions: [], changes: [] };

export class ControllerRouting implements RoutingPort {
  readonly #deps: RoutingPortDependencies;
  readonly #floors: Floors;
  /** All at once they would only make each other read again; between controllers that is left to etcd. */
  readonly #withdrawals = new InTurn();

  constructor(dependencies: RoutingPortDependencies) {
    this.#deps = dependencies;
    this.#floors = new Floors(dependencies.etcd, dependencies.desired);
  }

  /** The governor is read first, then the commands: whoever commands after that is noticed. */
  async placement(of: { node: NodeName } | { service: string }): Promise<Placement> {
    const { desired, edges } = this.#deps;
    if (!desired.ready) throw new Error('etcd was not read yet; nothing was changed');
    const { revision } = await this.#governor();
    const names = 'service' in of ? [of.service] : desired.servicesOf(of.node);
    const at = await this.#floors.commands();
    const about = 'node' in of ? of.node : null;
    const known = names.flatMap((name) => desired.service(name) ?? []);
    const found = await Promise.all(
      known.map((service) => this.#floors.placed(service, at.commands, about)),
    );
    const services = found.map(({ placed }) => placed);
    return {
      governorRevision: revision,
      revision: at.revision,
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
    return untilWritten(() => this.#commandNode(command));
  }

  async #commandNode(command: NodeCommand): Promise<Commanded | null> {
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
    const away = isLeaving ? await this.#floors.servicesOf(node) : [];
    return this.#write({
      wish: command,
      picture: command.picture,
      leaving: away.map((service) => ({ service, nodes: new Set([node]) })),
      what: `${node}: ${stance}`,
      shard: shardOf(node),
      key,
      keyRevision: stored?.revision ?? 0,
      value: valueText({ command: this.#command(stance, command) }),
    });
  }

  commandTraffic(command: TrafficCommand): Promise<Commanded> {
    return untilWritten(() => this.#commandTraffic(command));
  }

  async #commandTraffic(command: TrafficCommand): Promise<Commanded | null> {
    const { service, regions, nodes } = command;
    const [declared, { commands }] = await Promise.all([
      this.#floors.service(service),
      this.#floors.commands(),
    ]);
    if (declared === null) throw noSuch(`there is no service ${service}`);
    const { placed, traffic: stored } = await this.#floors.placed(declared, commands);
    assertSelection(service, placed, command);
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
    const going = goingBy(placed, traffic, next);
    return this.#write({
      wish: command,
      picture: command.picture,
      leaving: going.length === 0 ? [] : [{ service: declared, nodes: new Set(going) }],
      what: `${service}: ${stanceText({ ...regions, ...nodes })}`,
      shard: shardOf(service),
      key: keys.traffic(service),
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

  /** Null: somebody else has changed what it rests on, and nothing was written. Who takes nobody away is in nobody's way. */
  #write(order: Order): Promise<Commanded | null> {
    if (order.leaving.length === 0) return this.#put(order, UNGOVERNED);
    return this.#withdrawals.run(async () => this.#put(order, await this.#govern(order)));
  }

  async #put(order: Order, { left, conditions, changes }: Governed): Promise<Commanded | null> {
    const { shard, key, keyRevision, value } = order;
    const outcome = await this.#deps.shards.write(
      shard,
      [unchanged(key, keyRevision), ...conditions],
      [{ op: 'put', key, value }, ...changes],
    );
    return outcome.committed ? { revision: outcome.revision, left } : null;
  }

  /** Withdrawals are written one after the other, each in the knowledge of those before. */
  async #govern(order: Order): Promise<Governed> {
    const { limits, now } = this.#deps;
    const { what, wish, picture } = order;
    const { value, revision } = await this.#governor();
    const { left, conditions } = await this.#floors.assert(order, revision);
    const verdict = admitted(value, { what, by: wish.by }, now(), limits);
    if (!verdict.ok) {
      // It waits, and shall not wait with an old picture.
      if (isMoved(picture, revision)) throw pictureMoved(picture, revision);
      throw governorFull(limits, verdict.freesAtMs);
    }
    return {
      left,
      conditions: [...conditions, unchanged(keys.governor, revision)],
      changes: [{ op: 'put', key: keys.governor, value: JSON.stringify(verdict.next) }],
    };
  }
}

const noSuch = (problem: string): Refusal =>
  new Refusal({ code: 'InvalidInput', problems: [problem] }, `${problem}; nothing was written.`);

const TRIES = 10;
const AGAIN_MS = 20;

/** What somebody else has changed is read again. */
async function untilWritten(write: () => Promise<Commanded | null>): Promise<Commanded> {
  for (let tries = 1; tries <= TRIES; tries += 1) {
    const written = await write();
    if (written !== null) return written;
    await sleep(Math.random() * AGAIN_MS * tries);
  }
  throw new Error(`others wrote the same keys ${TRIES} times meanwhile; nothing was written`);
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
