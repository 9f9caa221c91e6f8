/** What operators ask of the cluster of controllers, and change in it. */
import { AdminError } from '../../adapters/admin/proto';
import type { MemberView } from '../../adapters/swim/membership';
import { SHARD_COUNT } from '../../core/model/ids';
import type { DeadController } from '../../core/model/views';
import type {
  ControllerView,
  RingMemberView,
  RingView,
  ShardView,
} from '../../core/model/views-cluster';
import { imbalance, loads, ownerOf } from '../../core/ring/map';
import { owning } from '../../core/ring/planner';
import type { RingPicture } from './ring-picture';

/** What SWIM says here. */
export interface GossipViews {
  members(): readonly MemberView[];
  dead(): DeadController[];
}

export interface RingVerbsDependencies {
  /** Of this controller. */
  id: string;
  picture: RingPicture;
  gossip: GossipViews;
  /** Nodes by shard. */
  edges: (shard: number) => number;
  shardWeights: () => readonly number[];
  /** Writes into the controller's key; false: it is not registered. */
  setDraining: (id: string, draining: boolean) => Promise<boolean>;
}

export class RingVerbs {
  readonly #deps: RingVerbsDependencies;

  constructor(dependencies: RingVerbsDependencies) {
    this.#deps = dependencies;
  }

  /** SWIM's view joined with the registrations, by id. */
  members(): ControllerView[] {
    const { picture, gossip } = this.#deps;
    this.#assertRead();
    const heard = new Map(gossip.members().map((each) => [each.name, each]));
    const registered = picture.registrations().map(({ id }) => id);
    const ids = [...new Set([...registered, ...heard.keys()])].sort();
    return ids.map((id) => this.#member(id, heard.get(id)));
  }

  dead(): DeadController[] {
    return this.#deps.gossip.dead();
  }

  ring(): RingView {
    const { picture, shardWeights } = this.#deps;
    this.#assertRead();
    const map = picture.map;
    const shards =
      map === null ? [] : Array.from({ length: SHARD_COUNT }, (_, i) => this.#shard(i));
    const weights = shardWeights();
    return {
      epoch: map?.epoch ?? null,
      imbalance: map === null ? 1 : imbalance(map.ring, weights),
      members: map === null ? [] : this.#ringMembers(shards, loads(map.ring, weights)),
      shards,
      changes: [...picture.changes].reverse(),
    };
  }

  async drain(id: string, draining: boolean): Promise<{ holds: number }> {
    const { picture, setDraining } = this.#deps;
    this.#assertRead();
    const others = owning(picture.registrations()).filter((each) => each.id !== id);
    if (draining && picture.registration(id) !== null && others.length === 0) {
      const message = `There is no other controller that could take the shards of ${id}; nothing was done.`;
      throw new AdminError({ code: 'precondition', message });
    }
    if (!(await setDraining(id, draining))) {
      const message = `No controller ${id} is registered. Look at: aether members`;
      throw new AdminError({ code: 'notFound', message });
    }
    return { holds: this.#holds(id) };
  }

  #member(id: string, heard: MemberView | undefined): ControllerView {
    const { picture, id: self } = this.#deps;
    const found = picture.registration(id);
    const map = picture.map?.ring ?? null;
    const given = Array.from({ length: SHARD_COUNT }, (_, shard) => map && ownerOf(map, shard));
    return {
      id,
      boot: found?.boot ?? heard?.boot ?? '',
      self: id === self,
      registered: found !== null,
      draining: found?.draining ?? false,
      weight: found?.weight ?? 0,
      shards: given.filter((owner) => owner === id).length,
      holds: this.#holds(id),
      edgeAddress: found?.edgeAddress ?? null,
      adminAddress: found?.adminAddress ?? null,
      gossip: heard
        ? {
            address: heard.address,
            state: heard.state,
            incarnation: heard.incarnation,
            sinceMs: heard.sinceMs,
            confirmations: heard.confirmations,
          }
        : null,
    };
  }

  #shard(shard: number): ShardView {
    const { picture, edges } = this.#deps;
    const owned = picture.owned(shard);
    const map = picture.map?.ring ?? null;
    return {
      shard,
      controller: (map && ownerOf(map, shard)) ?? '',
      owner: owned?.controller ?? null,
      ownerRevision: owned?.token ?? null,
      warm: picture.warm(shard)?.controller ?? null,
      edges: edges(shard),
    };
  }

  #ringMembers(shards: readonly ShardView[], load: ReadonlyMap<string, number>): RingMemberView[] {
    const { picture } = this.#deps;
    const members = new Map(picture.map?.ring.members.map(({ id, weight }) => [id, weight]));
    // The map has no shard for one that drains, or is gone; it may hold some still.
    const others = [
      ...picture.registrations().map(({ id }) => id),
      ...shards.map(({ owner }) => owner),
    ];
    for (const id of others) {
      if (id !== null && !members.has(id)) members.set(id, picture.registration(id)?.weight ?? 0);
    }
    return [...members]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, weight]) => {
        const given = shards.filter(({ controller }) => controller === id);
        const registration = picture.registration(id);
        return {
          id,
          weight,
          state: registration === null ? 'gone' : registration.draining ? 'draining' : 'here',
          shards: given.length,
          holds: this.#holds(id),
          edges: given.reduce((sum, { edges }) => sum + edges, 0),
          load: load.get(id) ?? 0,
        };
      });
  }

  #holds(id: string): number {
    let holds = 0;
    for (let shard = 0; shard < SHARD_COUNT; shard++) {
      if (this.#deps.picture.owned(shard)?.controller === id) holds++;
    }
    return holds;
  }

  #assertRead(): void {
    if (this.#deps.picture.ready) return;
    const message = 'etcd was not in reach since this controller started; nothing is known yet.';
    throw new AdminError({ code: 'unavailable', message });
  }
}
