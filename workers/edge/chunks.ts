/** Fetches the chunks of lists that the accepted spec names and the disk lacks, a few at a time. */
import type { BlobStore } from '../../adapters/state/blobs';
import { CHUNKS_AT_ONCE, type DownMessages, type Up } from '../../adapters/edge-stream/proto';
import type { BlobRef } from '../../core/model/blocklist';
import type { Problems } from './problems';

/** After a chunk that could not be had or kept. */
const RETRY_MS = 5_000;
/** An answer that takes longer is asked for again. */
const ANSWER_MS = 30_000;
const PROBLEM = 'chunks';

export interface ChunksParts {
  blobs: BlobStore;
  /** False where nobody is connected; `connected` begins anew. */
  send(message: Up): boolean;
  /** On its way otherwise: its pieces need not be asked for. */
  isComing?(wanted: BlobRef): boolean;
  problems: Problems;
  /** A chunk arrived and is on the disk. */
  arrived(): void;
}

export class Chunks {
  private wanted: readonly BlobRef[] = [];
  /** Asked for and not answered: since when. */
  private readonly asked = new Map<string, number>();
  /** Arrived, and on their way to the disk. */
  private readonly writing = new Set<string>();
  private retry: NodeJS.Timeout | null = null;

  constructor(private readonly parts: ChunksParts) {}

  want(blobs: readonly BlobRef[]): void {
    this.wanted = blobs;
    this.pump();
  }

  /** Whoever was asked may not be there any more. */
  connected(): void {
    this.asked.clear();
    this.pump();
  }

  async take({ sha256, data, missing }: DownMessages['chunk']): Promise<void> {
    // What nobody asked for does not fill the disk.
    if (!this.asked.has(sha256) || this.writing.has(sha256)) return;
    const { blobs, problems, arrived } = this.parts;
    const name = sha256.slice(0, 12);
    this.writing.add(sha256);
    const trouble = missing
      ? `the controller has no chunk ${name}`
      : await blobs.write(sha256, data).then(
          () => null,
          (error: Error) => `chunk ${name} can't be kept: ${error.message}`,
        );
    this.writing.delete(sha256);
    this.asked.delete(sha256);
    if (trouble !== null) {
      problems.set(PROBLEM, `a list can't be fetched: ${trouble}`);
      return this.later();
    }
    problems.clear(PROBLEM);
    arrived();
    this.pump();
  }

  /** Asks for what is lacking, as far as not asked for already. */
  pump(): void {
    const { blobs, problems, send, isComing } = this.parts;
    if (blobs.lacking(this.wanted).length === 0) return problems.clear(PROBLEM);
    const lacking = blobs.lacking(
      this.wanted.filter((ref) => blobs.lacking([ref]).length > 0 && !isComing?.(ref)),
    );
    const nowMs = performance.now();
    for (const [name, sinceMs] of this.asked) {
      if (nowMs - sinceMs > ANSWER_MS) this.asked.delete(name);
    }
    const next = lacking
      .map((chunk) => chunk.sha256)
      .filter((name) => !this.asked.has(name) && !this.writing.has(name))
      .slice(0, CHUNKS_AT_ONCE - this.asked.size);
    if (next.length > 0 && send({ message: 'chunkRequest', chunkRequest: { sha256: next } })) {
      for (const name of next) this.asked.set(name, nowMs);
    }
    this.later();
  }

  close(): void {
    if (this.retry !== null) clearTimeout(this.retry);
  }

  private later(): void {
    this.retry ??= setTimeout(() => {
      this.retry = null;
      this.pump();
    }, RETRY_MS).unref();
  }
}
