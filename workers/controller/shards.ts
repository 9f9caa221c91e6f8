/**
 * Which shards this controller may act for: one lease, and one ownership key a shard on it. Losing
 * the lease stops our writing and nothing else: streams stay, and what edges hold stays theirs.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { EtcdClient } from '../../adapters/etcd/client';
import { EtcdError } from '../../adapters/etcd/errors';
import { Lease } from '../../adapters/etcd/lease';
import { claim, Ownership } from '../../adapters/etcd/ownership';
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

const LEASE_TTL_MS = 5_000;
const RETRY_MS = 500;
/** Claims under way at once; a start with all 256 shards takes eight rounds. */
const CLAIMS_AT_ONCE = 32;

type Cluster = { value: ClusterValue; revision: number };

export class Shards {
  readonly #client: EtcdClient;
  readonly #id: string;
  readonly #registration: ControllerValue;
  readonly #log: Logger;
  readonly #owned = new Map<number, Ownership>();
  /** The last fence held of each shard; an edge that knows a higher one refuses it. */
  readonly #fences = new Map<number, OwnerFence>();
  #cluster: Cluster | null = null;
  #lease: Lease | null = null;

  /** `registration`: how the others find us, for `controllers/<id>`. */
  constructor(client: EtcdClient, id: string, registration: ControllerValue, log: Logger) {
    this.#client = client;
    this.#id = id;
    this.#registration = registration;
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

  fence(shard: number): OwnerFence | null {
    return this.#fences.get(shard) ?? null;
  }

  /** Holds a lease, and a new one after each that is lost. `onLease`: it is time to claim shards. */
  async run(signal: AbortSignal, onLease: () => void): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#hold(signal, onLease);
      } catch (error) {
        this.#log.warn({ err: error }, 'no lease of etcd; nothing is written until there is one');
      }
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Claims those that are not ours yet. Resolves to whether all of them are ours now. */
  async claim(shards: readonly number[]): Promise<boolean> {
    const lease = this.#lease;
    if (!lease?.holds()) return false;
    const missing = shards.filter((shard) => !this.holds(shard));
    for (let i = 0; i < missing.length; i += CLAIMS_AT_ONCE) {
      const batch = missing.slice(i, i + CLAIMS_AT_ONCE);
      await Promise.all(batch.map((shard) => this.#claimOne(lease, shard)));
    }
    return shards.every((shard) => this.holds(shard));
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
      this.#owned.delete(shard);
      throw staleFence(shard, owned.token);
    }
  }

  async #hold(signal: AbortSignal, onLease: () => void): Promise<void> {
    this.#cluster = await ensureCluster(this.#client);
    const lease = await Lease.grant(this.#client, { ttlMs: LEASE_TTL_MS });
    try {
      await this.#takeOver(lease);
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
      await lease.revoke().catch(() => undefined);
    }
  }

  /**
   * Registers under our id. A lease found there is that of our own former run, which was cut short;
   * revoked, it frees its shards now instead of a TTL later.
   */
  async #takeOver(lease: Lease): Promise<void> {
    const value = valueText(this.#registration);
    for (;;) {
      const claimed = await claim(this.#client, lease, keys.controller(this.#id), value);
      if (claimed instanceof Ownership) return;
      const { key, leaseId: former } = claimed.heldBy;
      if (former === null)
        throw new Error(`${key} is on no lease, so no controller wrote it: delete it`);
      this.#log.info({ lease: former }, 'revoking the lease of a former run');
      await this.#client.revokeLease(former);
    }
  }

  async #claimOne(lease: Lease, shard: number): Promise<void> {
    const value = valueText({ controller: this.#id });
    const claimed = await claim(this.#client, lease, keys.owner(shard), value);
    if (!(claimed instanceof Ownership) || lease !== this.#lease || !this.#cluster) return;
    this.#owned.set(shard, claimed);
    this.#fences.set(shard, {
      clusterIncarnation: this.#cluster.value.incarnation,
      shard,
      ownerRevision: claimed.token,
    });
  }
}

const staleFence = (shard: number, ownerRevision: number): Refusal =>
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
