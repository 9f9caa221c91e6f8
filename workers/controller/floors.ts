/**
 * What a withdrawal rests on, from etcd itself: commands, permits, services as they are declared now. Whatever of it is otherwise
 * by the time of the write refuses that, and all of it is read again.
 */
import type { EtcdClient } from '../../adapters/etcd/client';
import { type Condition, type KeyValue, unchanged } from '../../adapters/etcd/port';
import type { Keyed, Stored } from '../../core/model/compile';
import { floorHolds } from '../../core/model/governor';
import type { NodeName } from '../../core/model/ids';
import { keys, lastSegment } from '../../core/model/keys';
import type { Command, ServiceTraffic } from '../../core/model/routing';
import type { Picture, PlacedService, Wish } from '../../core/model/routing-messages';
import { selects } from '../../core/model/selector';
import {
  parseNodeRouting,
  parsePermits,
  parseServiceTraffic,
  parseServiceValue,
  type ServiceValue,
} from '../../core/model/values';
import { type DesiredState, readKey } from './desired';
import { floorPicture, floorRefusal, isMoved, pictureMoved } from './governor';
import { placedService } from './placement';

/** What is commanded of nodes, all of one revision. */
export interface CommandsAt {
  revision: number;
  commands: ReadonlyMap<NodeName, Command>;
  /** Of their keys. */
  revisions: ReadonlyMap<NodeName, number>;
}

/** A service, and the nodes that are to go. */
export interface Leaving {
  service: Stored<ServiceValue>;
  nodes: ReadonlySet<NodeName>;
}

export interface Withdrawal {
  wish: Wish;
  picture: Picture | null;
  leaving: readonly Leaving[];
}

export class Floors {
  constructor(
    private readonly etcd: EtcdClient,
    private readonly desired: DesiredState,
  ) {}

  async commands(): Promise<CommandsAt> {
    const { entries, revision } = await this.etcd.list({ prefix: keys.routings });
    const found = entries.flatMap((entry) => {
      const stored = readKey(entry, parseNodeRouting);
      return stored === null ? [] : [[entry.key.slice(keys.routings.length), stored] as const];
    });
    return {
      revision,
      commands: new Map(found.map(([node, { value }]) => [node, value.command])),
      revisions: new Map(found.map(([node, { revision: at }]) => [node, at])),
    };
  }

  async service(name: string): Promise<Keyed<ServiceValue>> {
    return this.#read(await this.etcd.get(keys.service(name)));
  }

  /** Bound to a node, until its removal has come that far. */
  async servicesOf(node: NodeName): Promise<Stored<ServiceValue>[]> {
    const labels = this.desired.inputs(node).node?.value.resource.metadata.labels;
    if (labels === undefined) return [];
    const { entries } = await this.etcd.list({ prefix: keys.services });
    return entries
      .flatMap((entry) => this.#read(entry) ?? [])
      .filter(({ value }) => selects(value.resource.spec.nodes, labels));
  }

  async placed(
    { value }: Stored<ServiceValue>,
    commands: CommandsAt['commands'],
    also: NodeName | null = null,
  ): Promise<{ placed: PlacedService; traffic: Keyed<ServiceTraffic> }> {
    const { resource } = value;
    const entry = await this.etcd.get(keys.traffic(resource.metadata.name));
    const traffic = readKey(entry, parseServiceTraffic);
    const known = { traffic: traffic?.value ?? { regions: {} }, commands };
    return { placed: placedService(this.desired, resource, known, also), traffic };
  }

  /** Of each service, for whoever has read the governor before; how many are left, and what has to stay so until the write. */
  async assert(withdrawal: Withdrawal, governorRevision: number) {
    const { leaving, picture } = withdrawal;
    // One of a former version: it can't tell who was commanded since.
    if (picture?.revision === undefined && isMoved(picture, governorRevision)) {
      throw pictureMoved(picture, governorRevision);
    }
    const left: Record<string, number> = {};
    const conditions: Condition[] = [];
    const at = await this.commands();
    for (const { service, nodes } of leaving) {
      const { name } = service.value.resource.metadata;
      const [{ placed, traffic }, found] = await Promise.all([
        this.placed(service, at.commands),
        this.etcd.get(keys.permits(name)),
      ]);
      const permits = readKey(found, parsePermits);
      const known = floorPicture(placed, picture, Object.keys(permits?.value.holders ?? {}));
      const firm = firmBy(picture, placed, at, traffic?.revision ?? 0);
      const doubtful = known.announcers.filter((node) => !nodes.has(node) && !firm.has(node));
      const unproven = new Set([...known.unproven, ...doubtful]);
      const verdict = floorHolds({ ...known, unproven }, nodes);
      left[name] = verdict.left.length;
      if (withdrawal.wish.force) continue;
      const isOn = picture === null || picture.announcers[name] !== undefined;
      if (!verdict.ok || !isOn) {
        // A newer picture may show it otherwise.
        const old = !isOn || doubtful.length > 0 || isMoved(picture, governorRevision);
        throw old || verdict.ok
          ? pictureMoved(picture, governorRevision)
          : floorRefusal(placed, verdict);
      }
      // Who does not announce is no loss, whatever becomes of the rest.
      if (!known.announcers.some((node) => nodes.has(node))) continue;
      conditions.push(
        unchanged(keys.service(name), service.revision),
        unchanged(keys.permits(name), permits?.revision ?? 0),
      );
    }
    return { left, conditions };
  }

  /** One that can't be read stands as it was; what never was is for `assertFloorsKnown`. */
  #read(entry: KeyValue | null): Keyed<ServiceValue> {
    try {
      return readKey(entry, parseServiceValue);
    } catch {
      const last = entry && this.desired.service(lastSegment(entry.key));
      return last && { ...last, revision: entry?.modRevision ?? 0 };
    }
  }
}

/** Of whom the picture still tells: they are there, and nothing was commanded of them since. */
function firmBy(
  picture: Picture | null,
  { nodes }: PlacedService,
  { revisions }: CommandsAt,
  trafficRevision: number,
): Set<NodeName> {
  const asOf = picture?.revision ?? Infinity;
  if (trafficRevision > asOf) return new Set();
  const names = nodes.map(({ node }) => node);
  return new Set(names.filter((node) => (revisions.get(node) ?? 0) <= asOf));
}
