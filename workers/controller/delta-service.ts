/**
 * What has changed between two blobs, for edges that hold the former one. A feed's refresh sends all edges for the same
 * one, so the last few are kept. Where there is none the edge asks for the pieces.
 */
import { createHash } from 'node:crypto';
import type { UpMessages } from '../../adapters/edge-stream/proto';
import type { EdgeSession } from '../../adapters/edge-stream/server';
import type { BlobRef } from '../../core/model/blocklist';
import type { EdgeSpec } from '../../core/model/edge-spec';
import { inThread } from './in-thread';

type Session = Pick<EdgeSession, 'send' | 'node'>;

export interface DeltaServiceDependencies<S> {
  /** Null where there is none of that name; throws while nobody can tell. */
  chunk: (sha256: string) => Promise<Uint8Array | null>;
  /** What the edge of this session shall be. */
  spec: (session: S) => EdgeSpec | null;
  /** Counts what was sent. */
  served: (bytes: number) => void;
}

/** Each at most DELTA_MAX_BYTES. */
const KEPT = 16;
/** No list has more pieces: it would fill an edge's store. */
const CHUNKS_MAX = 4_096;

export class DeltaService<S extends Session = EdgeSession> {
  readonly #kept = new Map<string, Promise<Uint8Array | null>>();

  constructor(private readonly deps: DeltaServiceDependencies<S>) {}

  async request(session: S, asked: UpMessages['deltaRequest']): Promise<void> {
    const { from, to } = asked;
    const ref = this.deps.spec(session)?.blocklists.find(({ blob }) => blob.sha256 === to)?.blob;
    const found = ref === undefined ? null : await this.#between(asked, ref).catch(() => null);
    const data = found ?? new Uint8Array(0);
    // Where its stream is full the edge asks for the pieces after a while.
    if (!session.send({ message: 'delta', delta: { from, to, data, missing: found === null } })) {
      return;
    }
    this.deps.served(data.length);
  }

  #between(asked: UpMessages['deltaRequest'], to: BlobRef): Promise<Uint8Array | null> {
    const key = `${asked.from} ${to.sha256}`;
    const kept = this.#kept.get(key);
    if (kept) return kept;
    const made = this.#make(asked, to);
    this.#kept.set(key, made);
    // Who names the wrong pieces, or asks too early, spoils it for nobody else.
    made.catch(() => {
      if (this.#kept.get(key) === made) this.#kept.delete(key);
    });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT) break;
      this.#kept.delete(oldest);
    }
    return made;
  }

  /** Null: so much has changed that there is none. Rejects where a piece can't be had. */
  async #make(
    { from, fromChunks }: UpMessages['deltaRequest'],
    to: BlobRef,
  ): Promise<Uint8Array | null> {
    if (fromChunks.length > CHUNKS_MAX) throw new Error('it names too many pieces');
    const before = await this.#join(from, fromChunks);
    const after = await this.#join(
      to.sha256,
      to.chunks.map(({ sha256 }) => sha256),
    );
    return inThread('deltaOf', { from: before, to: after });
  }

  async #join(blob: string, sha256s: readonly string[]): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for (const sha256 of sha256s) {
      const piece = await this.deps.chunk(sha256);
      if (piece === null) throw new Error(`piece ${sha256} is gone`);
      pieces.push(piece);
    }
    const whole = Buffer.concat(pieces);
    if (createHash('sha256').update(whole).digest('hex') === blob) return whole;
    throw new Error(`these pieces do not make ${blob}`);
  }
}
