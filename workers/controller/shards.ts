/**
 * Which shards this controller may act for: one lease, and one ownership key a shard on it. Losing
 * the lease stops our writing and nothing else: streams stay, and what edges hold stays theirs. Which ones to
 * claim and to release is said by others (`ring-side.ts`).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { EtcdClient } from '../../adapters/etcd/client';
import { EtcdError } from '../../adapters/etcd/errors';
import { type HeldLease, Lease } from '../../adapters/etcd/lease';
import type { LeaseKeeper } from '../../adapters/etcd/lease-keeper';
import { claimAll, Ownership } from '../../adapters/etcd/ownership';
import { absent, type Change, type Condition, unchanged } from '../../adapters/etcd/port';
import type { WriteOutcome } from '../../adapters/etcd/port';
import type { OwnerFence } from '../../core/model/edge-spec';
import { Refusal } from '../../core/model/errors';
import { SHARD_COUNT } from '../../core/model/ids';
import { keys } from '../../core/model/keys';
import {
  type ClusterValue,
  type ControllerValue,
  parseClusterValue,
  valueText,
} from '../../core/model/values';
import { readKey } from './desired';
import { Displaced, Registrar } from './registration';

export const LEASE_TTL_MS = 5_000;
export const KEEPALIVE_EVERY_MS = 500;
const RETRY_MS = 500;

type Cluster = { value: ClusterValue; revision: number };

export class Shards {
  readonly #client: EtcdClient;
  readonly #keeper: Pick<LeaseKeeper, 'grant'> | null;
  readonly #id: string;
  readonly registrar: Registrar;
  readonly #log: Logger;
  readonly #owned = new Map<number, Ownership>();
  /**
   * The last fence held of each shard, until another owner is known of: without etcd edges go on hearing it, and those
   * that know a higher one refuse it.
   */
  readonly #fences = new Map<number, OwnerFence>();
  /** About to be given up: what is under way ends, nothing is begun. */
  readonly #closing = new Set<number>();
  #cluster: Cluster | null = null;
  #lease: HeldLease | null = null;

  /**
   * `registration`: how the others find us, for `controllers/<id>`. `keeper`: who keeps our lease; none: this thread,
   * whose loop must then never be held up.
   */
  constructor(
    client: EtcdClient,
    id: string,
    registration: ControllerValue,
    log: Logger,
    keeper: Pick<LeaseKeeper, 'grant'> | null = null,
  ) {
    this.#client = client;
    this.#keeper = keeper;
    this.#id = id;
    this.registrar = new Registrar(client, id, registration, log);
    this.#log = log;
  }

  /** The incarnation that was joined with the present lease, and the revision of its key. */
  get cluster(): Cluster | null {
    return this.#cluster;
  }

  get owned(): number[] {
    return [...this.#owned.keys()].filter((shard) => this.holds(shard));
  }

  /** Whether an act for this shard, begun now, is covered. */
  holds(shard: number): boolean {
    return this.#owned.get(shard)?.holds() ?? false;
  }

  /** Whether anything is to be begun for this shard: ours, and not about to be another's. */
  keeps(shard: number): boolean {
    return this.holds(shard) && !this.#closing.has(shard);
  }

  /** Id of the present lease, for keys that are to go with it; null: there is none. */
  get leaseId(): string | null {
    return this.#lease?.holds() ? this.#lease.id : null;
  }

  get leaseRemainingMs(): number {
    return this.#lease?.remainingMs() ?? 0;
  }

  fence(shard: number): OwnerFence | null {
    return this.#fences.get(shard) ?? null;
  }

  /** Holds a lease, and a new one after each that is lost. `onLease`: it is time to claim shards. */
  async run(signal: AbortSignal, onLease: () => void): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#hold(signal, onLease);
      } catch (error) {
        if (!(error instanceof Displaced)) {
          this.#log.warn({ err: error }, 'no lease of etcd; nothing is written until there is one');
        }
      }
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /**
   * Claims those that are not ours yet, if `conditions` hold as well. Resolves to whether all of them are ours
   * now.
   */
  async claim(shards: readonly number[], conditions: readonly Condition[] = []): Promise<boolean> {
    const lease = this.#lease;
    if (!lease?.holds()) return false;
    const missing = shards.filter((shard) => !this.holds(shard));
    const value = valueText({ controller: this.#id });
    const claims = missing.map((shard) => ({
      key: keys.owner(shard),
      value,
      clears: keys.warm(shard),
    }));
    const claimed = await claimAll(this.#client, lease, claims, conditions);
    const cluster = this.#cluster;
    if (lease !== this.#lease || !cluster) return false;
    for (const shard of missing) {
      const owned = claimed.get(keys.owner(shard));
      if (!owned) continue;
      this.#owned.set(shard, owned);
      this.#closing.delete(shard);
      this.#fences.set(shard, {
        clusterIncarnation: cluster.value.incarnation,
        shard,
        ownerRevision: owned.token,
      });
    }
    return shards.every((shard) => this.holds(shard));
  }

  /** Nothing new is begun for this shard; `reopen` takes it back. */
  close(shard: number): void {
    if (this.#owned.has(shard)) this.#closing.add(shard);
  }

  reopen(shard: number): void {
    this.#closing.delete(shard);
  }

  /** Gives shards up, so that the next ones can claim them. What is lost already is a success. */
  async release(shards: readonly number[]): Promise<void> {
    const owned = shards.flatMap((shard) => this.#owned.get(shard) ?? []);
    for (const shard of shards) {
      this.#owned.delete(shard);
      this.#closing.delete(shard);
      this.#fences.delete(shard);
    }
    await Ownership.releaseAll(owned);
  }

  /** Keys of ours that we don't hold: a release whose answer was lost, and that was not done. */
  async drop(strays: readonly { shard: number; token: number }[]): Promise<void> {
    const lease = this.#lease;
    if (lease === null) return;
    await Ownership.releaseAll(
      strays.map(
        ({ shard, token }) => new Ownership(this.#client, lease, keys.owner(shard), token),
      ),
    );
  }

  /** The key of that token is gone; the fence stands, until another owner is known of. */
  lost(shard: number, token: number): void {
    if (this.#owned.get(shard)?.token !== token) return;
    this.#owned.delete(shard);
    this.#closing.delete(shard);
  }

  /** Somebody else has had the key since, so that our last fence is no use to anybody. */
  sawOwner(shard: number, token: number): void {
    if ((this.#fences.get(shard)?.ownerRevision ?? Infinity) >= token) return;
    this.#owned.delete(shard);
    this.#closing.delete(shard);
    this.#fences.delete(shard);
  }

  /** The cluster's key is at `revision`: a later one than ours is a new incarnation to join. */
  sawCluster(revision: number): void {
    if (this.#cluster === null || revision <= this.#cluster.revision) return;
    this.#owned.clear();
    this.#lease?.revoke().catch(() => undefined);
  }

  /**
   * A write for a node of `shard`, under the ownership key and the cluster's incarnation.
   * @throws {Refusal} StaleFence: not ours, nothing was written
   */
  async write(
    shard: number,
    conditions: readonly Condition[],
    changes: readonly Change[],
  ): Promise<WriteOutcome> {
    const owned = this.#owned.get(shard);
    const cluster = this.#cluster;
    if (!owned || !cluster) throw staleFence(shard, 0);
    try {
      const incarnation = unchanged(keys.cluster, cluster.revision);
      const outcome = await owned.write([incarnation, ...conditions], changes);
      if (outcome.committed) return outcome;
      const now = outcome.found.find(({ key }) => key === keys.cluster)?.modRevision ?? 0;
      if (now === cluster.revision) return outcome;
      this.sawCluster(now);
      throw staleFence(shard, owned.token);
    } catch (error) {
      const code = error instanceof EtcdError ? error.failure.code : null;
      if (code !== 'fenced' && code !== 'leaseEnded') throw error;
      // Claimed anew meanwhile, it is ours by another key.
      this.lost(shard, owned.token);
      const by = code === 'fenced' ? 'etcd' : 'our own guard';
      const refused = { shard, ownerRevision: owned.token, by };
      this.#log.warn(refused, 'a write as a former owner was refused');
      throw staleFence(shard, owned.token);
    }
  }

  async #hold(signal: AbortSignal, onLease: () => void): Promise<void> {
    this.#cluster = await ensureCluster(this.#client);
    await this.registrar.assertFree();
    const [ttlMs, everyMs] = [LEASE_TTL_MS, KEEPALIVE_EVERY_MS];
    const lease = this.#keeper
      ? await this.#keeper.grant(ttlMs, everyMs)
      : await Lease.grant(this.#client, { ttlMs, everyMs });
    try {
      await this.registrar.register(lease);
      this.#lease = lease;
      this.#log.info({ lease: lease.id }, 'holding a lease');
      onLease();
      const stop = AbortSignal.any([signal, lease.ended]);
      await new Promise((resolve) => {
        if (stop.aborted) resolve(null);
        else stop.addEventListener('abort', resolve, { once: true });
      });
      if (!signal.aborted) this.#log.warn({ err: lease.ended.reason }, 'the lease is lost');
    } finally {
      this.#lease = null;
      this.#owned.clear();
      this.#closing.clear();
      await lease.revoke().catch(() => undefined);
    }
  }
}

export const staleFence = (shard: number, ownerRevision: number): Refusal =>
  new Refusal(
    { code: 'StaleFence', shard, ownerRevision },
    `Shard ${shard} is not this controller's now; nothing was written; its owner may do it.`,
  );

/** The cluster's key, made with the first incarnation where there is none. */
async function ensureCluster(client: EtcdClient): Promise<Cluster> {
  const value = valueText({ incarnation: 1, shardCount: SHARD_COUNT });
  await client.write([absent(keys.cluster)], [{ op: 'put', key: keys.cluster, value }]);
  const cluster = readKey(await client.get(keys.cluster), parseClusterValue);
  if (!cluster) throw new Error(`${keys.cluster} was removed while it was read`);
  if (cluster.value.shardCount !== SHARD_COUNT) {
    throw new Error(
      `the cluster has ${cluster.value.shardCount} shards, this build knows ${SHARD_COUNT}`,
    );
  }
  return cluster;
}
