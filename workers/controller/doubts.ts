/**
 * Edges that say that somebody newer owns their shard (`Fenced`). That alone is believed of no edge: etcd is asked, and where the
 * key is not ours the shard is dropped at once, before our next write would find out. Out of reach, etcd says nothing, and
 * nothing is done: who is cut off from it has his lease for some seconds more, and writes nothing anyway.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { EtcdClient } from '../../adapters/etcd/client';
import { compareFence } from '../../core/edge/fence';
import type { OwnerFence } from '../../core/model/edge-spec';
import { keys } from '../../core/model/keys';
import type { Shards } from './shards';

export interface DoubtsDependencies {
  etcd: Pick<EtcdClient, 'get'>;
  shards: Pick<Shards, 'fence' | 'holds' | 'lost' | 'sawOwner'>;
  /** A shard is not ours any more. */
  onDropped: () => void;
  log: Logger;
}

const ASK_MS = 1_000;
/** After an answer that the shard is ours: an edge that lies costs etcd no more than this. */
const AGAIN_MS = 1_000;

export class Doubts {
  readonly #asking = new Set<number>();

  constructor(private readonly deps: DoubtsDependencies) {}

  /** An edge of `shard` obeys `heard`. Resolves when what is to be done about it is done. */
  async heard(shard: number, heard: OwnerFence): Promise<void> {
    const { shards, onDropped, log } = this.deps;
    const ours = shards.fence(shard);
    if (ours === null || !shards.holds(shard) || this.#asking.has(shard)) return;
    if (compareFence(ours, heard) !== 'raises') return;
    this.#asking.add(shard);
    const dropped = await this.#ask(shard, ours);
    if (dropped) {
      this.#asking.delete(shard);
      log.warn({ shard, ours, heard }, 'an edge knows a newer owner of a shard; it is dropped');
      return onDropped();
    }
    log.warn({ shard, ours, heard }, 'an edge obeys an owner that etcd does not tell of');
    void sleep(AGAIN_MS, undefined, { ref: false }).then(() => this.#asking.delete(shard));
  }

  async #ask(shard: number, ours: OwnerFence): Promise<boolean> {
    const { etcd, shards } = this.deps;
    try {
      const token = (await etcd.get(keys.owner(shard), ASK_MS))?.createRevision ?? null;
      if (token === ours.ownerRevision) return false;
      if (token === null) shards.lost(shard, ours.ownerRevision);
      else shards.sawOwner(shard, token);
    } catch {
      return false;
    }
    return !shards.holds(shard);
  }
}
