/**
 * What has changed between two blobs, for edges that hold the former one. A feed's refresh sends all edges for the same
 * one, so the last few are kept. Where there is none the edge asks for the pieces.
 */
import type { UpMessages } from '../../adapters/edge-stream/proto';
import type { EdgeSession } from '../../adapters/edge-stream/server';
import { InTurn } from '../../adapters/state/in-turn';
import { type BlobRef, DELTA_MAX_BYTES } from '../../core/model/blocklist';
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
  /** Whose question is not answered yet. */
  readonly #asking = new Set<S>();
  /** One is made at a time: it takes several times the memory of a list. */
  readonly #turns = new InTurn();
  #unmade = 0;

  constructor(private readonly deps: DeltaServiceDependencies<S>) {}

  async request(session: S, asked: UpMessages['deltaRequest']): Promise<void> {
    const { from, to } = asked;
    // An edge asks for one at a time; what comes beside it costs us an answer, and no more.
    const found = this.#asking.has(session) ? null : await this.#answer(session, asked);
    const data = found ?? new Uint8Array(0);
    // Where its stream is full the edge asks for the pieces after a while.
    if (!session.send({ message: 'delta', delta: { from, to, data, missing: found === null } })) {
      return;
    }
    this.deps.served(data.length);
  }

  async #answer(session: S, asked: UpMessages['deltaRequest']): Promise<Uint8Array | null> {
    const { blob } =
      this.deps.spec(session)?.blocklists.find((list) => list.blob.sha256 === asked.to) ?? {};
    if (blob === undefined) return null;
    this.#asking.add(session);
    return this.#between(asked, blob)
      .catch(() => null)
      .finally(() => this.#asking.delete(session));
  }

  #between(asked: UpMessages['deltaRequest'], to: BlobRef): Promise<Uint8Array | null> {
    const key = `${asked.from} ${to.sha256}`;
    const kept = this.#kept.get(key);
    if (kept) return kept;
    const made = this.#inTurn(() => this.#make(asked, to));
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

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    // Whoever would wait for more than that has its pieces sooner.
    if (this.#unmade >= KEPT) throw new Error('too many are asked for at once');
    this.#unmade += 1;
    return this.#turns.run(work).finally(() => (this.#unmade -= 1));
  }

  /** Null: so much has changed that there is none. Rejects where a piece can't be had. */
  async #make(
    { from, fromChunks }: UpMessages['deltaRequest'],
    to: BlobRef,
  ): Promise<Uint8Array | null> {
    if (fromChunks.length > CHUNKS_MAX) throw new Error('it names too many pieces');
    const bytes = to.chunks.reduce((sum, chunk) => sum + chunk.bytes, 0);
    // Between what is longer than this and `to` there is no difference small enough.
    const before = await this.#read(fromChunks, bytes + DELTA_MAX_BYTES);
    const after = await this.#read(
      to.chunks.map(({ sha256 }) => sha256),
      bytes,
    );
    return inThread('deltaOfPieces', {
      from: { sha256: from, pieces: before },
      to: { sha256: to.sha256, pieces: after },
    });
  }

  async #read(sha256s: readonly string[], mostBytes: number): Promise<Uint8Array[]> {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for (const sha256 of sha256s) {
      const piece = await this.deps.chunk(sha256);
      if (piece === null) throw new Error(`piece ${sha256} is gone`);
      bytes += piece.length;
      if (bytes > mostBytes) throw new Error(`these pieces are more than ${mostBytes} bytes`);
      pieces.push(piece);
    }
    return pieces;
  }
}
