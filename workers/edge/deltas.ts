/**
 * Makes the wanted version of a list out of the former one and what has changed since, one list at a time; what can't
 * be had so is fetched in pieces.
 */
import type { DownMessages, Up } from '../../adapters/edge-stream/proto';
import type { BlobStore } from '../../adapters/state/blobs';
import { chunk } from '../../core/filter/blob';
import { applyDelta } from '../../core/filter/delta';
import type { BlobRef } from '../../core/model/blocklist';

/** An answer that takes longer is not waited for. */
const ANSWER_MS = 10_000;

export interface DeltasParts {
  blobs: Pick<BlobStore, 'read' | 'write' | 'isWhole'>;
  /** The former version of the list that this one is of; null: there is none. */
  former(wanted: BlobRef): BlobRef | null;
  /** Whoever is connected knows of deltas. */
  known(): boolean;
  send(message: Up): boolean;
  /** The blob is whole, or its pieces are to be asked for. */
  settled(): void;
}

export class Deltas {
  private asked: { from: BlobRef; to: BlobRef; timer: NodeJS.Timeout } | null = null;
  /** Versions that can't be had so. */
  private readonly refused = new Set<string>();

  constructor(private readonly parts: DeltasParts) {}

  /** Whether `wanted` is on its way as a delta: its pieces need not be asked for. */
  has(wanted: BlobRef): boolean {
    const { blobs, former, known, send } = this.parts;
    if (this.asked !== null) return this.asked.to.sha256 === wanted.sha256;
    if (this.refused.has(wanted.sha256) || !known()) return false;
    const from = former(wanted);
    if (from === null || from.sha256 === wanted.sha256 || !blobs.isWhole(from.sha256)) return false;
    const fromChunks = from.chunks.map(({ sha256 }) => sha256);
    const deltaRequest = { from: from.sha256, to: wanted.sha256, fromChunks };
    if (!send({ message: 'deltaRequest', deltaRequest })) return false;
    const timer = setTimeout(() => this.settle(wanted, false), ANSWER_MS).unref();
    this.asked = { from, to: wanted, timer };
    return true;
  }

  /** Whoever was asked may not be there any more. */
  connected(): void {
    if (this.asked !== null) clearTimeout(this.asked.timer);
    this.asked = null;
    this.refused.clear();
  }

  async take({ from, to, data, missing }: DownMessages['delta']): Promise<void> {
    const { asked } = this;
    if (asked?.from.sha256 !== from || asked.to.sha256 !== to) return;
    const isWhole = !missing && (await this.make(asked.from, asked.to, data).catch(() => false));
    if (this.asked === asked) this.settle(asked.to, isWhole);
  }

  close(): void {
    if (this.asked !== null) clearTimeout(this.asked.timer);
  }

  private async make(from: BlobRef, to: BlobRef, data: Uint8Array): Promise<boolean> {
    const { blobs } = this.parts;
    const blob = applyDelta(await blobs.read(from.sha256), data);
    if (blob === null) return false;
    const { chunks } = chunk(blob);
    if (chunks.length !== to.chunks.length) return false;
    // Each is held against its name as it is written.
    for (const [i, bytes] of chunks.entries()) await blobs.write(to.chunks[i]?.sha256 ?? '', bytes);
    return blobs.isWhole(to.sha256);
  }

  private settle({ sha256 }: BlobRef, isWhole: boolean): void {
    if (this.asked !== null) clearTimeout(this.asked.timer);
    this.asked = null;
    if (!isWhole) this.refused.add(sha256);
    this.parts.settled();
  }
}
