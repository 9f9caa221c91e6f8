/**
 * Pieces of blobs, named by their content. They are written before the key that names them, and
 * swept away a while after the last key that named them has gone (`sweep.ts`).
 */
import type { BlobRef } from '../../core/model/blocklist';
import { keys } from '../../core/model/keys';
import type { EtcdClient } from './client';

/** Of what edges asked for last: many of them ask for the same at the same time. */
const CACHE_BYTES = 32 << 20;
/** Half a megabyte each: more at once would only queue up in etcd. */
const AT_ONCE = 4;

export class ChunkStore {
  readonly #etcd: EtcdClient;
  /** By SHA-256, the least recently used first. */
  readonly #cache = new Map<string, { data: Promise<Buffer | null>; bytes: number }>();
  #cachedBytes = 0;

  constructor(etcd: EtcdClient) {
    this.#etcd = etcd;
  }

  /** Null where there is none of that name. */
  get(sha256: string): Promise<Buffer | null> {
    const cached = this.#cache.get(sha256);
    if (cached) {
      this.#cache.delete(sha256);
      this.#cache.set(sha256, cached);
      return cached.data;
    }
    const entry = { data: this.#read(sha256), bytes: 0 };
    this.#cache.set(sha256, entry);
    const forget = (): void => {
      if (this.#cache.get(sha256) === entry) this.#cache.delete(sha256);
    };
    entry.data.then((data) => {
      if (data === null) return forget();
      entry.bytes = data.length;
      this.#cachedBytes += data.length;
      this.#evict();
    }, forget);
    return entry.data;
  }

  /**
   * Writes the pieces of a blob. One that is there is written again, so that a sweep sees that it is
   * wanted; not so those of `kept`: blobs that a key names which the caller is about to compare.
   */
  async put(
    ref: BlobRef,
    chunks: readonly Uint8Array[],
    kept: readonly (BlobRef | null)[],
  ): Promise<void> {
    const safe = new Set(kept.flatMap((blob) => blob?.chunks.map(({ sha256 }) => sha256) ?? []));
    const missing = ref.chunks.flatMap(({ sha256 }, i) => {
      const data = chunks[i];
      return data === undefined || safe.has(sha256) ? [] : [{ sha256, data }];
    });
    const queue = missing.values();
    const worker = async (): Promise<void> => {
      for (const { sha256, data } of queue) {
        const value = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
        await this.#etcd.write([], [{ op: 'put', key: keys.chunk(sha256), value }]);
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, missing.length) }, worker));
  }

  async #read(sha256: string): Promise<Buffer | null> {
    return (await this.#etcd.get(keys.chunk(sha256)))?.value ?? null;
  }

  #evict(): void {
    for (const [sha256, { bytes }] of this.#cache) {
      if (this.#cachedBytes <= CACHE_BYTES) return;
      if (bytes === 0) continue; // under way
      this.#cache.delete(sha256);
      this.#cachedBytes -= bytes;
    }
  }
}
