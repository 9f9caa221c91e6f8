/**
 * Blobs on disk, in the chunks that they came in: `<directory>/<sha256 of the chunk>`. A chunk is
 * there whole or not at all, and is held against its name whenever it is read.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobRef, ChunkRef } from '../../core/model/blocklist';
import { CHUNK_BYTES } from '../../core/model/blocklist';
import type { BlobPort } from '../../core/model/host';
import { writeAtomically } from './atomic';
import { InTurn } from './in-turn';

/** Bytes of all chunks together: lists of some fifty million prefixes. */
export const STORE_MAX_BYTES = 256 << 20;

const HASH = /^[0-9a-f]{64}$/;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const isAbsent = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

export class BlobStore implements BlobPort {
  /** Bytes by chunk, of what lies on the disk. */
  private readonly present = new Map<string, number>();
  private readonly refs = new Map<string, BlobRef>();
  private bytes = 0;
  /** Writing and taking away, one after another. */
  private readonly inTurn = new InTurn();

  constructor(
    private readonly directory: string,
    private readonly maxBytes = STORE_MAX_BYTES,
  ) {}

  /** What is there from before. Rejects where the directory can't be read; it counts as empty then. */
  async load(): Promise<void> {
    const names = await readdir(this.directory).catch((error: unknown): string[] => {
      if (isAbsent(error)) return [];
      throw error;
    });
    for (const name of names) {
      if (!HASH.test(name)) continue;
      this.note(name, (await stat(join(this.directory, name))).size);
    }
  }

  /** How these blobs are made of chunks: `read` knows no other ones. */
  know(refs: readonly BlobRef[]): void {
    for (const ref of refs) this.refs.set(ref.sha256, ref);
  }

  isWhole(blob: string): boolean {
    const ref = this.refs.get(blob);
    return ref !== undefined && this.lacking([ref]).length === 0;
  }

  /** Chunks of these blobs that are not here, each once, in their order. */
  lacking(refs: readonly BlobRef[]): ChunkRef[] {
    const chunks = refs.flatMap((ref) => ref.chunks);
    const unique = new Map(chunks.map((chunk) => [chunk.sha256, chunk]));
    return [...unique.values()].filter((chunk) => !this.present.has(chunk.sha256));
  }

  /**
   * Resolves once it is on the disk. Rejects with the errno of what failed, and where the bytes are
   * not the chunk of that name or there is no room for it here.
   */
  write(name: string, data: Uint8Array): Promise<void> {
    return this.inTurn.run(() => this.put(name, data));
  }

  /** Takes away whatever these blobs don't need, half-written files included. */
  keepOnly(refs: readonly BlobRef[]): Promise<void> {
    return this.inTurn.run(() => this.sweep(refs));
  }

  async read(blob: string): Promise<Uint8Array> {
    const ref = this.refs.get(blob);
    if (ref === undefined) throw new Error(`blob ${blob.slice(0, 12)} is not known here`);
    const parts: Uint8Array[] = [];
    for (const { sha256: name } of ref.chunks) parts.push(await this.readChunk(name));
    const whole = Buffer.concat(parts);
    if (sha256(whole) !== blob) {
      throw new Error(`blob ${blob.slice(0, 12)} is not what its chunks make`);
    }
    return whole;
  }

  private async put(name: string, data: Uint8Array): Promise<void> {
    if (this.present.has(name)) return;
    if (data.length > CHUNK_BYTES || sha256(data) !== name) {
      throw new Error(`what came as chunk ${name.slice(0, 12)} is another one`);
    }
    if (this.bytes + data.length > this.maxBytes) {
      throw new Error(`the lists take more than ${this.maxBytes >> 20} MiB`);
    }
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    await writeAtomically(join(this.directory, name), data);
    this.note(name, data.length);
  }

  private async sweep(refs: readonly BlobRef[]): Promise<void> {
    const needed = new Set(refs.flatMap(({ chunks }) => chunks.map((chunk) => chunk.sha256)));
    const blobs = new Set(refs.map((ref) => ref.sha256));
    for (const blob of this.refs.keys()) if (!blobs.has(blob)) this.refs.delete(blob);
    const names = await readdir(this.directory).catch(() => []);
    for (const name of names) if (!needed.has(name)) await this.remove(name);
  }

  private async readChunk(name: string): Promise<Uint8Array> {
    const path = join(this.directory, name);
    const data = await readFile(path).catch((error: unknown) => {
      if (isAbsent(error)) this.forget(name);
      throw new Error(`chunk ${name.slice(0, 12)}: ${(error as Error).message}`);
    });
    if (sha256(data) === name) return data;
    // It is asked for anew.
    await this.remove(name);
    throw new Error(`chunk ${name.slice(0, 12)} was corrupt on the disk, and is fetched again`);
  }

  /** Forgotten in any case: what can't be deleted is written over when it comes again. */
  private async remove(name: string): Promise<void> {
    this.forget(name);
    await unlink(join(this.directory, name)).catch(() => undefined);
  }

  private note(name: string, bytes: number): void {
    this.forget(name);
    this.present.set(name, bytes);
    this.bytes += bytes;
  }

  private forget(name: string): void {
    this.bytes -= this.present.get(name) ?? 0;
    this.present.delete(name);
  }
}
