/**
 * What etcd says of the cluster itself: who is a controller, the map, who owns a shard, who is ready to take one
 * over. Kept by the same list-watch as what is wanted; a value that can't be read changes nothing: the last good one
 * stands, and where none was ever read, whoever can read it decides (decision 0177).
 */
import type { KeyValue, WatchItem } from '../../adapters/etcd/port';
import { keys, lastSegment } from '../../core/model/keys';
import {
  type MovementsValue,
  type OwnerValue,
  parseControllerValue,
  parseMovementsValue,
  parseOwnerValue,
  parseRingValue,
  parseWarmValue,
  type WarmValue,
} from '../../core/model/values';
import type { RingChange } from '../../core/model/views-cluster';
import { difference } from '../../core/ring/map';
import type { Candidate } from '../../core/ring/planner';
import type { ControllerId, Registration, RingMap } from '../../core/ring/types';
import { readKey } from './desired';

/** A registration as it lies in etcd. */
export interface Registered extends Registration {
  leaseId: string | null;
  /** Mod revision of its key. */
  revision: number;
}

/** Who has the key of a shard. */
export interface Owned extends OwnerValue {
  /** Create revision of the key: the fence. */
  token: number;
}

export class RingPicture {
  /** Keys whose value can't be read, and why. */
  readonly problems = new Map<string, string>();
  readonly #registered = new Map<ControllerId, Registered>();
  readonly #owned = new Map<number, Owned>();
  readonly #warm = new Map<number, WarmValue>();
  #map: { ring: RingMap; epoch: number } | null = null;
  #changes: RingChange[] = [];
  #ready = false;

  /** False before the first snapshot. */
  get ready(): boolean {
    return this.#ready;
  }

  get map(): { ring: RingMap; epoch: number } | null {
    return this.#map;
  }

  registrations(): Registered[] {
    return [...this.#registered.values()];
  }

  /** As the planner takes them. A key that was never read: that one stays a member as the map says, or none. */
  candidates(): Candidate[] {
    const members = this.#map?.ring.members ?? [];
    const unread = members.filter(
      ({ id }) => !this.#registered.has(id) && this.problems.has(keys.controller(id)),
    );
    const kept = unread.map((member) => ({ ...member, boot: '', draining: false }));
    return [...this.registrations(), ...kept];
  }

  /** There is a map, and it was never read: nobody who can't read it makes another one. */
  get mapUnread(): boolean {
    return this.#map === null && this.problems.has(keys.ring);
  }

  registration(id: ControllerId): Registered | null {
    return this.#registered.get(id) ?? null;
  }

  owned(shard: number): Owned | null {
    return this.#owned.get(shard) ?? null;
  }

  warm(shard: number): WarmValue | null {
    return this.#warm.get(shard) ?? null;
  }

  /** What the last maps have moved, the oldest first; whoever was there. */
  get changes(): readonly RingChange[] {
    return this.#changes;
  }

  /** Whether it said anything about the cluster. */
  apply(item: WatchItem): boolean {
    switch (item.kind) {
      case 'snapshot':
        this.#keep(new Set(item.entries.map(({ key }) => key)));
        for (const entry of item.entries) this.#put(entry);
        this.#ready = true;
        return true;
      case 'put':
        return this.#put(item.entry);
      case 'delete':
        return this.#delete(item.key);
      case 'synced':
        return false;
    }
  }

  /** What is there no more goes; what is there stays until it is read anew. */
  #keep(present: ReadonlySet<string>): void {
    const known = [
      keys.ring,
      keys.movements,
      ...[...this.#registered.keys()].map(keys.controller),
      ...[...this.#owned.keys()].map(keys.owner),
      ...[...this.#warm.keys()].map(keys.warm),
      ...this.problems.keys(),
    ];
    for (const key of known) if (!present.has(key)) this.#delete(key);
  }

  #put(entry: KeyValue): boolean {
    const { key } = entry;
    const concerned = ROOTS.some((root) => key.startsWith(root));
    if (!concerned) return false;
    try {
      this.#read(entry);
      this.problems.delete(key);
    } catch (error) {
      this.problems.set(key, (error as Error).message);
    }
    return true;
  }

  #read(entry: KeyValue): void {
    const { key, createRevision, modRevision: revision, leaseId } = entry;
    if (key === keys.ring) {
      const read = readKey(entry, parseRingValue);
      if (read) this.#map = { ring: read.value, epoch: revision };
    } else if (key.startsWith(keys.controllers)) {
      const read = readKey(entry, parseControllerValue);
      const id = lastSegment(key);
      if (read) this.#registered.set(id, { id, ...read.value, leaseId, revision });
    } else if (key === keys.movements) {
      const read = readKey(entry, parseMovementsValue);
      if (read)
        this.#changes = read.value.changes.map((e) => ({ ...e, epoch: e.epoch ?? revision }));
    } else if (key.startsWith(keys.owners)) {
      const read = readKey(entry, parseOwnerValue);
      if (read) this.#owned.set(shardIn(key), { ...read.value, token: createRevision });
    } else {
      const read = readKey(entry, parseWarmValue);
      if (read) this.#warm.set(shardIn(key), read.value);
    }
  }

  #delete(key: string): boolean {
    this.problems.delete(key);
    // Only by hand: the next look makes another one of who is there.
    if (key === keys.ring) this.#map = null;
    else if (key === keys.movements) this.#changes = [];
    else if (key.startsWith(keys.controllers)) this.#registered.delete(lastSegment(key));
    else if (key.startsWith(keys.owners)) this.#owned.delete(shardIn(key));
    else if (key.startsWith(keys.warms)) this.#warm.delete(shardIn(key));
    else return false;
    return true;
  }
}

const ROOTS = [keys.ring, keys.movements, keys.controllers, keys.owners, keys.warms];

const shardIn = (key: string): number => Number(lastSegment(key));

/** Maps whose movements are remembered, for people. */
const CHANGES_KEPT = 20;

/** With what a map that is about to be written moves. */
export function withChange(
  known: readonly RingChange[],
  former: RingMap | null,
  ring: RingMap,
): MovementsValue {
  const moves = new Map<string, RingChange['moves'][number]>();
  for (const { from, to } of difference(former, ring)) {
    const counted = moves.get(`${from}/${to}`) ?? { from, to, shards: 0 };
    counted.shards++;
    moves.set(`${from}/${to}`, counted);
  }
  const change = { epoch: null, atMs: Date.now(), moves: [...moves.values()] };
  return { changes: [...known, change].slice(-CHANGES_KEPT) };
}
