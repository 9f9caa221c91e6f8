/** Between the sets that blocklists are and the pieces that etcd holds of them. */
import type { ChunkStore } from '../../adapters/etcd/chunks';
import { prefixSet } from '../../core/filter/algebra';
import { join, type JoinError } from '../../core/filter/blob';
import { type Pieces, piecesOf } from '../../core/filter/feed-refresh';
import type { BlobRef } from '../../core/model/blocklist';
import type { PrefixEntry } from '../../core/model/node';
import { inThread } from './in-thread';

export type Kept = readonly (BlobRef | null)[];

/** Entries that stay; those with an end go to the edges by themselves (core/model/compile.ts). */
export const permanent = (entries: readonly PrefixEntry[]): string[] =>
  entries.filter(({ expiresAtMs }) => expiresAtMs === null).map(({ prefix }) => prefix);

export class Blobs {
  constructor(readonly chunks: ChunkStore) {}

  /** The packed set; a piece of it may be missing or damaged, whoever asks. */
  async packed(
    ref: BlobRef,
  ): Promise<{ ok: true; blob: Uint8Array } | { ok: false; error: JoinError }> {
    const found = new Map<string, Uint8Array | null>();
    for (const { sha256 } of ref.chunks) found.set(sha256, await this.chunks.get(sha256));
    return join(ref, (sha256) => found.get(sha256) ?? null);
  }

  /** Writes the pieces that are not in `kept` already; the key that names them comes after. */
  async save({ ref, chunks }: Pieces, kept: Kept): Promise<BlobRef> {
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
    if (inline.length === 0) return feed;
    if (feed === null) return this.save(piecesOf(prefixSet(inline)), kept);
    const joined = await this.packed(feed);
    if (!joined.ok) throw new Error(`blob ${feed.sha256}: ${JSON.stringify(joined.error)}`);
    return this.save(await inThread('mergeEntries', { packed: joined.blob, inline }), kept);
  }
}
