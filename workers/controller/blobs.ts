/** Between the sets that blocklists are and the pieces that etcd holds of them. */
import type { ChunkStore } from '../../adapters/etcd/chunks';
import { prefixSet, union } from '../../core/filter/algebra';
import { chunk, join, pack, unpack } from '../../core/filter/blob';
import type { PrefixSet } from '../../core/filter/types';
import type { BlobRef } from '../../core/model/blocklist';
import type { PrefixEntry } from '../../core/model/node';

export type Kept = readonly (BlobRef | null)[];

/** Entries that stay; those with an end go to the edges by themselves (core/model/compile.ts). */
export const permanent = (entries: readonly PrefixEntry[]): PrefixSet =>
  prefixSet(entries.filter(({ expiresAtMs }) => expiresAtMs === null).map(({ prefix }) => prefix));

export class Blobs {
  constructor(private readonly chunks: ChunkStore) {}

  /** Throws where a piece is missing or damaged: the blob can't be had, whoever asks. */
  async load(ref: BlobRef): Promise<PrefixSet> {
    const found = new Map<string, Uint8Array | null>();
    for (const { sha256 } of ref.chunks) found.set(sha256, await this.chunks.get(sha256));
    const joined = join(ref, (sha256) => found.get(sha256) ?? null);
    if (!joined.ok) throw new Error(`blob ${ref.sha256}: ${JSON.stringify(joined.error)}`);
    const unpacked = unpack(joined.blob);
    if (!unpacked.ok) throw new Error(`blob ${ref.sha256}: ${JSON.stringify(unpacked.error)}`);
    return unpacked.set;
  }

  /** Writes the pieces of a set that are not in `kept` already; the key that names it comes after. */
  async save(set: PrefixSet, kept: Kept): Promise<BlobRef> {
    const { ref, chunks } = chunk(pack(set));
    await this.chunks.put(ref, chunks, kept);
    return ref;
  }

  /**
   * All that a blocklist blocks for good: its entries and what its feed held when it was last
   * believed. Null where it has neither.
   */
  async whole(
    entries: readonly PrefixEntry[],
    feed: BlobRef | null,
    kept: Kept,
  ): Promise<BlobRef | null> {
    const inline = permanent(entries);
    const none = inline.v4.lengths.length + inline.v6.lengths.length === 0;
    if (none) return feed;
    const set = feed === null ? inline : union(await this.load(feed), inline);
    return this.save(set, kept);
  }
}
