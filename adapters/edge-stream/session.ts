/**
 * The controller's side of one edge stream. A session holds no queue of its own: when its transport is full (`send`
 * returns false) what was to be sent is dropped, and `drained` tells when to bring the edge up to date as a whole.
 */
import * as grpc from '@grpc/grpc-js';
import type { OwnerFence } from '../../core/model/edge-spec';
import type { NodeName } from '../../core/model/ids';
import type { OneOf } from '../grpc/service';
import {
  type ControllerAddress,
  type Down,
  type DownMessages,
  PROTOCOL_OF_REDIRECTS,
  RETRY_AFTER_KEY,
  type Up,
} from './proto';

export interface ClusterHint {
  /** Those that are alive, ourselves included; none: not known. */
  controllers: readonly ControllerAddress[];
  /** Edges that lose us without a word shall come back spread over so long; 0: not said. */
  spreadMs: number;
}

/** Answers to what the session asked. */
type Reply = Extract<Up, { message: 'statusReply' | 'filterReply' }>;
export type ReplyKind = Reply['message'];

export type Call = grpc.ServerDuplexStream<Up, Down>;
type Waiter = {
  resolve: (json: Uint8Array) => void;
  reject: (error: Error) => void;
  timer: NodeJS.Timeout;
};

/** What a session asks of whoever holds it. */
export interface World {
  fence(): OwnerFence | null;
  lost(): boolean;
  hint(): ClusterHint;
  drained(session: EdgeSession): void;
}

let nextSerial = 0;

export class EdgeSession {
  /** Monotonic. */
  readonly connectedAtMs = performance.now();
  readonly node: NodeName;
  /** When the certificate that it was opened with was issued. */
  readonly issuedAtMs: number;
  /** As its hello said; 0: the first version. */
  readonly protocol: number;
  /** @internal */
  readonly serial = nextSerial++;
  readonly #call: Call;
  readonly #world: World;
  readonly #waiting = new Map<number, Waiter>();
  #heardAtMs = performance.now();
  #blocked = false;
  #nextId = 1;
  #closed = false;

  constructor(
    opened: Pick<EdgeSession, 'node' | 'issuedAtMs' | 'protocol'>,
    call: Call,
    world: World,
  ) {
    this.#call = call;
    this.node = opened.node;
    this.issuedAtMs = opened.issuedAtMs;
    this.protocol = opened.protocol;
    this.#world = world;
    call.on('drain', () => {
      this.#blocked = false;
      if (!this.#closed) world.drained(this);
    });
  }

  /** False where nothing was sent: the session is over, or its transport is full. */
  send(message: OneOf<DownMessages>): boolean {
    if (this.#closed || this.#blocked) return false;
    this.#blocked = !this.#call.write({ fence: this.#world.fence(), ...message });
    return true;
  }

  /** JSON of EdgeStatus, asked of the edge now. */
  requestStatus(timeoutMs: number): Promise<Uint8Array> {
    return this.#ask(timeoutMs, (id) => ({ message: 'statusRequest', statusRequest: { id } }));
  }

  /** JSON of FilterAnswer to the JSON of a FilterQuestion. Throws what the edge answers instead. */
  askFilter(questionJson: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    return this.#ask(timeoutMs, (id) => ({
      message: 'filterRequest',
      filterRequest: { id, questionJson },
    }));
  }

  #ask(timeoutMs: number, question: (id: number) => OneOf<DownMessages>): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      const fail = (why: string) => () => {
        this.#waiting.delete(id);
        reject(new Error(`edge ${this.node}: ${why}`));
      };
      const timer = setTimeout(fail(`no answer within ${timeoutMs} ms`), timeoutMs);
      this.#waiting.set(id, { resolve, reject, timer });
      if (!this.send(question(id))) {
        clearTimeout(timer);
        fail('the stream is full or closed')();
      }
    });
  }

  /** Ends the stream with a gRPC status; the edge dials again unless the code forbids it. */
  close(code: grpc.status, details: string): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new Error(`edge ${this.node}: ${details}`));
    }
    this.#waiting.clear();
    refuse(this.#call, code, details);
  }

  /** @internal Notes that the edge lives; takes replies, which are ours alone. */
  heard(message: Up): message is Reply {
    this.#heardAtMs = performance.now();
    switch (message.message) {
      case 'statusReply':
        this.#answered(message.statusReply.id)?.resolve(message.statusReply.statusJson);
        return true;
      case 'filterReply': {
        const { id, answerJson, error } = message.filterReply;
        const waiter = this.#answered(id);
        if (error === '') waiter?.resolve(answerJson);
        else waiter?.reject(new Error(`edge ${this.node}: ${error}`));
        return true;
      }
      default:
        return false;
    }
  }

  #answered(id: number): Waiter | undefined {
    const waiter = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(waiter?.timer);
    return waiter;
  }

  /** Says that we are there: whoever owns the edge says so with its fence. */
  beat(): boolean {
    const { spreadMs } = this.#world.hint();
    const lost = this.#world.lost();
    return this.send({ message: 'heartbeat', heartbeat: { atMs: Date.now(), spreadMs, lost } });
  }

  /** The edge belongs to that one; null: to us, or nobody knows. False where it can't be told now, or not at all. */
  redirect(to: ControllerAddress | null): boolean {
    if (this.protocol < PROTOCOL_OF_REDIRECTS) return false;
    const redirect = { controller: to?.id ?? '', address: to?.address ?? '' };
    return this.send({ message: 'redirect', redirect });
  }

  /** @internal */
  watch(everyMs: number): void {
    const silentForMs = 3 * everyMs;
    if (performance.now() - this.#heardAtMs > silentForMs) {
      this.close(grpc.status.DEADLINE_EXCEEDED, `silent for ${silentForMs} ms`);
    } else {
      this.beat();
    }
  }
}

/** Ends a stream with a gRPC status. `retryAfterMs`: it is not to be dialled again before. */
export function refuse(
  call: Call,
  code: grpc.status,
  details: string,
  retryAfterMs: number | null = null,
): void {
  if (code === grpc.status.OK) {
    call.end();
    return;
  }
  const metadata = new grpc.Metadata();
  if (retryAfterMs !== null) metadata.set(RETRY_AFTER_KEY, String(Math.ceil(retryAfterMs)));
  call.emit('error', { code, details, message: details, metadata });
}
