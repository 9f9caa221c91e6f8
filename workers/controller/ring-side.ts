/**
 * This controller's part in the cluster: keeps the map, claims what it gives us, hands over what it gives to others
 * (docs/notes/cluster.md). Whatever happens only asks for a look; one look follows, does what is due, and says
 * when to look again; repeating it is harmless.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { EtcdClient } from '../../adapters/etcd/client';
import { type Change, unchanged, type WatchItem } from '../../adapters/etcd/port';
import { keys } from '../../core/model/keys';
import { valueText } from '../../core/model/values';
import { shardWeight } from '../../core/ring/assign';
import { difference, imbalance, ownerOf, shardsOf } from '../../core/ring/map';
import { type Due, owning, type Plan, Planner } from '../../core/ring/planner';
import type { ControllerId, Hint, Place } from '../../core/ring/types';
import { SHARD_COUNT } from '../../core/model/ids';
import { Doubts } from './doubts';
import { setDraining } from './draining';
import { Handovers } from './handovers';
import type { DesiredState } from './desired';
import type { ControllerMetrics } from './metrics';
import { RingPicture, withChange } from './ring-picture';
import { type GossipViews, RingVerbs } from './ring-verbs';
import { KEEPALIVE_EVERY_MS, type Shards } from './shards';

export interface RingSideDependencies {
  /** Of this controller. */
  id: ControllerId;
  etcd: EtcdClient;
  shards: Shards;
  desired: DesiredState;
  /** What SWIM says of the others; empty: it says nothing. */
  hints: () => ReadonlyMap<ControllerId, Hint>;
  /** The picture of etcd is fresh. */
  fresh: () => boolean;
  /** The edges of a shard have moved to where its place is now, or have had their time for it. */
  movedAway: (shard: number) => Promise<void>;
  /** Shards whose place or fence is another now. */
  onPlaces: (shards: readonly number[]) => void;
  workers: ShardReadiness;
  /** Something became ours, or is about to be another's. */
  onShards: () => void;
  metrics: ControllerMetrics;
  log: Logger;
  signal: AbortSignal;
}

/** Asked of those who run the activities of shards. */
export interface ShardReadiness {
  /** None of this shard's activities is running, and none will be begun. */
  ended(shard: number): boolean;
  running(shard: number): number;
}

/** What etcd said of another controller's lease. */
interface AskedLease {
  leaseId: string;
  boot: string;
  missed: number;
  askedAtMs: number;
}

const WRITE_MS = 2_000;
/** For the others to take our shards before we go. */
const DRAIN_MS = 5_000;
const RETRY_MS = 500;
/** In case no event told of it. */
const LOOK_ANYWAY_MS = 1_000;
/** Below etcd's 128 changes a transaction. */
const WARM_A_WRITE = 100;

export class RingSide {
  readonly picture = new RingPicture();
  readonly #deps: RingSideDependencies;
  readonly #planner = new Planner();
  readonly #handovers: Handovers;
  readonly doubts: Doubts;
  readonly #leases = new Map<ControllerId, AskedLease>();
  readonly #alarmed = new Set<ControllerId>();
  #heirs: ReadonlyMap<number, ControllerId> = new Map();
  readonly #places: string[] = [];
  #leased = false;
  /** Our keys that etcd has told of, by their tokens. */
  readonly #seen = new Map<number, number>();
  #asked = false;
  #looking = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(dependencies: RingSideDependencies) {
    this.#deps = dependencies;
    this.#handovers = new Handovers(dependencies, this.picture, () => this.look());
    const onDropped = (): void => {
      dependencies.onShards();
      this.look();
    };
    this.doubts = new Doubts({ ...dependencies, onDropped });
    dependencies.signal.addEventListener('abort', () => clearTimeout(this.#timer), { once: true });
  }

  heard(item: WatchItem): void {
    if (this.picture.apply(item) || item.kind === 'synced') this.look();
  }

  /** Something may be otherwise. */
  look(): void {
    this.#asked = true;
    if (this.#looking || this.#deps.signal.aborted) return;
    this.#looking = true;
    void this.#lookUntilStill();
  }

  /** Where the edges of a shard belong. */
  place(shard: number, hints = this.#deps.hints()): Place {
    const { id, shards } = this.#deps;
    const { map } = this.picture;
    const owner = map === null ? null : ownerOf(map.ring, shard);
    const where = this.#heirs.get(shard) ?? owner;
    if (where === null) return { kind: 'nowhere' };
    if (where === id) return { kind: 'here', holds: shards.holds(shard) };
    const registered = this.picture.registration(where);
    const doubtful = ['dead', 'left'].includes(hints.get(where)?.state ?? 'alive');
    if (registered === null || doubtful) return { kind: 'nowhere' };
    return { kind: 'elsewhere', controller: where, address: registered.edgeAddress };
  }

  /** Shards that the map gives us and whose key we wait for: their activities are to be got ready. */
  get arriving(): number[] {
    return this.#mine().filter((shard) => !this.#deps.shards.holds(shard));
  }

  verbs(gossip: GossipViews): RingVerbs {
    const { id, etcd, desired } = this.#deps;
    return new RingVerbs({
      id,
      picture: this.picture,
      gossip,
      edges: (shard) => desired.inShard(shard).length,
      shardWeights: () => this.shardWeights(),
      setDraining: (whom, draining) => setDraining(etcd, this.picture, whom, draining, WRITE_MS),
    });
  }

  /** Before we go: gives all shards to others, if there are any. Resolves when that is done, or has had its time. */
  async drain(): Promise<void> {
    const { id, etcd, shards } = this.#deps;
    const staying = this.picture.registrations().some((each) => each.id !== id && !each.draining);
    if (!staying || shards.leaseId === null) return;
    const endsAt = performance.now() + DRAIN_MS;
    await setDraining(etcd, this.picture, id, true, DRAIN_MS).catch(() => undefined);
    while (performance.now() < endsAt && shards.owned.length > 0) await sleep(20);
  }

  async #lookUntilStill(): Promise<void> {
    // What came in at once is looked at once.
    await new Promise((resolve) => setImmediate(resolve));
    const { signal, log } = this.#deps;
    while (this.#asked && !signal.aborted) {
      this.#asked = false;
      clearTimeout(this.#timer);
      let againAtMs = performance.now() + LOOK_ANYWAY_MS;
      try {
        againAtMs = Math.min(againAtMs, await this.#look());
      } catch (error) {
        log.warn({ err: error }, 'a look at the cluster was cut short; looking again');
        againAtMs = performance.now() + RETRY_MS;
      }
      const waitMs = Math.max(0, againAtMs - performance.now());
      this.#timer = setTimeout(() => this.look(), Math.ceil(waitMs));
    }
    // In the same breath as the last look at `#asked`: nobody can ask in between, unheard.
    this.#looking = false;
  }

  /** When to look again, if nothing happens before. */
  async #look(): Promise<number> {
    const { shards, id } = this.#deps;
    if (!this.picture.ready) return Infinity;
    const own = this.picture.registration(id);
    const registered = own !== null && own.boot === shards.registrar.value.boot;
    if (registered) shards.registrar.sawDraining(own.draining);
    for (let shard = 0; shard < SHARD_COUNT; shard++) this.#compare(shard);
    const nowMs = performance.now();
    const plan = this.#plan(nowMs, registered);
    this.#heirs = plan.heirs;
    this.#told();
    // What nobody owns comes first: the rest may ask etcd at length.
    if (await this.#claim()) this.#deps.onShards();
    await this.#sayWarm();
    const handedAtMs = await this.#handovers.look(this.#mine(), performance.now());
    for (const due of plan.due) await this.#do(due);
    const leased = shards.leaseId !== null;
    if (leased !== this.#leased) this.#deps.onShards();
    this.#leased = leased;
    this.#told();
    return Math.min(plan.nextMs ?? Infinity, handedAtMs);
  }

  /** What we believe to own, with what etcd says: a key may have been taken away, by hand or by a revocation. */
  #compare(shard: number): void {
    const { shards } = this.#deps;
    const ours = shards.fence(shard)?.ownerRevision;
    const token = this.picture.owned(shard)?.token ?? null;
    if (token !== null && token === ours) this.#seen.set(shard, token);
    else if (token !== null) shards.sawOwner(shard, token);
    // Of a key that was just made, the watch may not have told yet.
    else if (ours !== undefined && this.#seen.get(shard) === ours) shards.lost(shard, ours);
  }

  #plan(nowMs: number, registered: boolean): Plan {
    const { id, fresh, hints, desired } = this.#deps;
    return this.#planner.look(
      {
        self: id,
        // Who has no lease decides nothing: it may be the one that is gone.
        fresh: registered && fresh() && desired.ready && !this.picture.mapUnread,
        map: this.picture.map?.ring ?? null,
        registrations: this.picture.candidates(),
        hints: hints(),
        leases: this.#leases,
        shardWeights: this.shardWeights(),
      },
      nowMs,
    );
  }

  shardWeights(): number[] {
    const { desired } = this.#deps;
    return Array.from({ length: SHARD_COUNT }, (_, shard) =>
      shardWeight(desired.inShard(shard).length),
    );
  }

  async #do(due: Due): Promise<void> {
    switch (due.act) {
      case 'propose':
        return this.#propose(due);
      case 'ask':
        return this.#ask(due.controller, due.boot);
      case 'revoke':
        return this.#revoke(due.controller);
      case 'alarm':
        if (this.#alarmed.has(due.controller)) return;
        this.#alarmed.add(due.controller);
        this.#deps.log.warn(
          { controller: due.controller },
          'gossip calls a controller dead whose lease is kept: is UDP blocked? nothing moves',
        );
    }
  }

  async #propose({ map, why }: Extract<Due, { act: 'propose' }>): Promise<void> {
    const { id, etcd, shards, metrics, log } = this.#deps;
    const own = this.picture.registration(id);
    if (own === null || shards.leaseId === null) return;
    const former = this.picture.map;
    const movements = withChange(this.picture.changes, former?.ring ?? null, map);
    const outcome = await etcd.write(
      [unchanged(keys.ring, former?.epoch ?? 0), unchanged(keys.controller(id), own.revision)],
      [
        { op: 'put', key: keys.ring, value: valueText(map) },
        { op: 'put', key: keys.movements, value: valueText(movements) },
      ],
      WRITE_MS,
    );
    metrics.ringProposals.inc({ why, outcome: outcome.committed ? 'written' : 'late' });
    // Somebody was first; the watch tells with what.
    if (!outcome.committed) return;
    const moved = difference(former?.ring ?? null, map).length;
    const members = map.members.map((member) => member.id);
    log.info({ epoch: outcome.revision, why, members, moved }, 'a new map of the shards');
  }

  async #ask(controller: ControllerId, boot: string): Promise<void> {
    const found = this.picture.registration(controller);
    // It may have come anew while other things were done.
    if (typeof found?.leaseId !== 'string' || found.boot !== boot) return;
    const { leaseId } = found;
    const askedAtMs = performance.now();
    const life = await this.#deps.etcd.leaseTimeToLive(leaseId, WRITE_MS);
    // Whole seconds, rounded down: a full one more than that may have passed unnoticed.
    const silentMs = life === null ? Infinity : life.grantedMs - life.remainingMs - 1_000;
    const missed = Math.max(0, Math.floor(silentMs / KEEPALIVE_EVERY_MS) - 1);
    this.#leases.set(controller, { leaseId, boot, missed, askedAtMs });
    if (missed > 0) this.#asked = true;
  }

  async #revoke(controller: ControllerId): Promise<void> {
    const { etcd, metrics, log } = this.#deps;
    // The lease that was asked for, whatever the controller has by now.
    const leaseId = this.#leases.get(controller)?.leaseId;
    this.#leases.delete(controller);
    if (leaseId === undefined) return;
    log.warn(
      { controller, lease: leaseId, ...this.#deps.hints().get(controller) },
      'revoking the lease of a controller that others find dead and etcd has not heard',
    );
    await etcd.revokeLease(leaseId, WRITE_MS);
    metrics.leaseRevocations.inc();
  }

  /** Claims what the map gives us and nobody holds. Whether any is ours now. */
  async #claim(): Promise<boolean> {
    const { shards } = this.#deps;
    const { map } = this.picture;
    if (map === null || shards.leaseId === null) return false;
    const free = this.arriving.filter((shard) => this.#mayClaim(shard));
    if (free.length === 0) return false;
    await shards.claim(free, [unchanged(keys.ring, map.epoch)]);
    return free.some((shard) => shards.holds(shard));
  }

  /** Says of what others still hold that we are ready for it. */
  async #sayWarm(): Promise<void> {
    const { id, etcd, shards } = this.#deps;
    const { map } = this.picture;
    const leaseId = shards.leaseId;
    if (map === null || leaseId === null) return;
    const value = valueText({ controller: id, epoch: map.epoch });
    const warm = this.arriving
      .filter((shard) => !this.#mayClaim(shard))
      .filter((shard) => this.picture.warm(shard)?.epoch !== map.epoch)
      .map((shard): Change => ({ op: 'put', key: keys.warm(shard), value, leaseId }));
    for (let i = 0; i < warm.length; i += WARM_A_WRITE) {
      const epoch = unchanged(keys.ring, map.epoch);
      await etcd.write([epoch], warm.slice(i, i + WARM_A_WRITE), WRITE_MS);
    }
  }

  /** Nobody has it; or it is ours, and we don't know: the answer to our claim was lost. */
  #mayClaim(shard: number): boolean {
    const { id } = this.#deps;
    return (this.picture.owned(shard)?.controller ?? id) === id;
  }

  #mine(): number[] {
    const { map } = this.picture;
    return map === null ? [] : shardsOf(map.ring, this.#deps.id);
  }

  /** Tells those who want to know what has moved since they were told last. */
  #told(): void {
    const { shards, onPlaces } = this.#deps;
    const hints = this.#deps.hints();
    const moved: number[] = [];
    for (let shard = 0; shard < SHARD_COUNT; shard++) {
      const place = placeText(this.place(shard, hints), shards.fence(shard)?.ownerRevision);
      if (place === this.#places[shard]) continue;
      this.#places[shard] = place;
      moved.push(shard);
    }
    if (moved.length > 0) onPlaces(moved);
  }

  gauge(): void {
    const { metrics, shards, hints } = this.#deps;
    metrics.shardsOwned.set(shards.owned.length);
    metrics.leaseRemaining.set(shards.leaseRemainingMs / 1000);
    for (const id of this.#alarmed) {
      if (hints().get(id)?.state !== 'dead') this.#alarmed.delete(id);
    }
    const { map } = this.picture;
    if (map === null) return;
    metrics.ringEpoch.set(map.epoch);
    metrics.ringImbalance.set(imbalance(map.ring, this.shardWeights()));
    metrics.controllers.set(owning(this.picture.registrations()).length);
  }
}

/** Of all shards several times a second: of JSON this was a fifth of what a controller takes at rest. */
function placeText(place: Place, fence: number | undefined): string {
  switch (place.kind) {
    case 'nowhere':
      return `${fence}`;
    case 'here':
      return `${fence} ${place.holds}`;
    case 'elsewhere':
      return `${fence} ${place.controller} ${place.address}`;
  }
}
