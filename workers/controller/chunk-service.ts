/**
 * Brings edges the pieces of blobs that they ask for: one after the other to each, as fast as its
 * stream takes them, and only such as its present spec names.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { status as code } from '@grpc/grpc-js';
import { CHUNKS_ASKED_MAX } from '../../adapters/edge-stream/proto';
import type { EdgeSession } from '../../adapters/edge-stream/server';
import type { EdgeSpec } from '../../core/model/edge-spec';

type Session = Pick<EdgeSession, 'send' | 'close' | 'node'>;

export interface ChunkServiceDependencies<S> {
  /** Null where there is none of that name; throws while nobody can tell. */
  chunk: (sha256: string) => Promise<Uint8Array | null>;
  /** What the edge of this session shall be. */
  spec: (session: S) => EdgeSpec | null;
  served: (bytes: number) => void;
}

/** etcd is out of reach: the edge goes on waiting, it does not have to ask again. */
const RETRY_MS = 1_000;

interface Queue {
  wanted: string[];
  pumping: boolean;
}

const names = (spec: EdgeSpec | null, sha256: string): boolean =>
  spec?.blocklists.some(({ blob }) => blob.chunks.some((chunk) => chunk.sha256 === sha256)) ??
  false;

export class ChunkService<S extends Session = EdgeSession> {
  readonly #queues = new Map<S, Queue>();

  constructor(private readonly deps: ChunkServiceDependencies<S>) {}

  request(session: S, sha256s: readonly string[]): void {
    const queue = this.#queues.get(session) ?? { wanted: [], pumping: false };
    this.#queues.set(session, queue);
    const more = sha256s.filter((sha256) => !queue.wanted.includes(sha256));
    queue.wanted.push(...new Set(more));
    if (queue.wanted.length > CHUNKS_ASKED_MAX) {
      this.ended(session);
      session.close(code.RESOURCE_EXHAUSTED, `more than ${CHUNKS_ASKED_MAX} chunks asked at once`);
      return;
    }
    void this.#pump(session, queue);
  }

  /** Its stream takes more again. */
  drained(session: S): void {
    const queue = this.#queues.get(session);
    if (queue) void this.#pump(session, queue);
  }

  ended(session: S): void {
    this.#queues.delete(session);
  }

  async #pump(session: S, queue: Queue): Promise<void> {
    if (queue.pumping) return;
    queue.pumping = true;
    const goesOn = (): boolean => this.#queues.get(session) === queue && queue.wanted.length > 0;
    while (goesOn()) {
      const sha256 = queue.wanted[0] ?? '';
      const found = await this.#find(session, sha256);
      if (!goesOn()) break;
      if (found === 'unknown') {
        await sleep(RETRY_MS, undefined, { ref: false });
        continue;
      }
      const chunk = { sha256, data: found ?? new Uint8Array(0), missing: found === null };
      if (!session.send({ message: 'chunk', chunk })) break;
      queue.wanted.shift();
      this.deps.served(chunk.data.length);
    }
    queue.pumping = false;
  }

  async #find(session: S, sha256: string): Promise<Uint8Array | null | 'unknown'> {
    if (!names(this.deps.spec(session), sha256)) return null;
    try {
      return await this.deps.chunk(sha256);
    } catch {
      return 'unknown';
    }
  }
}
