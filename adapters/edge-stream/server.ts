/**
 * The controller's end of the edge streams: mTLS, one session an edge, its name from its certificate.
 *
 * A session holds no queue of its own. When its transport is full (`send` returns false) what was to
 * be sent is dropped, and `drained` tells when to bring the edge up to date as a whole.
 */
import * as grpc from '@grpc/grpc-js';
import type { OwnerFence } from '../../core/model/edge-spec';
import type { NodeName } from '../../core/model/ids';
import { identityOf } from '../ca/identity';
import { type OneOf, safe } from '../grpc/service';
import {
  type Down,
  type DownMessages,
  EDGE_STREAM_SERVICE,
  HEARTBEAT_MS,
  type Hello,
  type Up,
} from './proto';

export interface EdgeStreamHandler {
  /** Fence for what goes down to this edge; null while its shard is not ours. */
  fenceOf(node: NodeName): OwnerFence | null;
  /** A stream said hello. A former one of the same node was closed before, without `disconnected`. */
  connected(session: EdgeSession, hello: Hello): void;
  message(session: EdgeSession, message: Exclude<Up, { message: 'hello' | ReplyKind }>): void;
  drained(session: EdgeSession): void;
  disconnected(session: EdgeSession, why: string): void;
}

export interface EdgeStreamOptions {
  /** `host:port`; port 0: any free one. */
  listen: string;
  /** PEM. */
  tls: { ca: Buffer; cert: Buffer; key: Buffer };
  /** Name of this controller, for the edge's status. */
  controller: string;
}

/** One process carries no more: an mTLS storm of this many already blocks its loop for 9 s. */
export const MAX_SESSIONS = 2000;
const HELLO_TIMEOUT_MS = 10_000;
const SILENCE_MS = 3 * HEARTBEAT_MS;
/** A drift report of a host with thousands of links has its place, a flood has not. */
const MAX_MESSAGE_BYTES = 4 << 20;

/** Answers to what the session asked. */
type Reply = Extract<Up, { message: 'statusReply' | 'filterReply' }>;
type ReplyKind = Reply['message'];

type Call = grpc.ServerDuplexStream<Up, Down>;
type Waiter = {
  resolve: (json: Uint8Array) => void;
  reject: (error: Error) => void;
  timer: NodeJS.Timeout;
};

export class EdgeSession {
  readonly connectedAtMs = Date.now();
  readonly #call: Call;
  readonly #fence: () => OwnerFence | null;
  readonly #waiting = new Map<number, Waiter>();
  #heardAtMs = Date.now();
  #blocked = false;
  #nextId = 1;
  #closed = false;

  constructor(
    readonly node: NodeName,
    call: Call,
    fence: () => OwnerFence | null,
    onDrained: (session: EdgeSession) => void,
  ) {
    this.#call = call;
    this.#fence = fence;
    call.on('drain', () => {
      this.#blocked = false;
      if (!this.#closed) onDrained(this);
    });
  }

  /** False where nothing was sent: the session is over, or its transport is full. */
  send(message: OneOf<DownMessages>): boolean {
    if (this.#closed || this.#blocked) return false;
    this.#blocked = !this.#call.write({ fence: this.#fence(), ...message });
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
    this.#heardAtMs = Date.now();
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

  /** @internal */
  beat(nowMs: number): void {
    if (nowMs - this.#heardAtMs > SILENCE_MS) {
      this.close(grpc.status.DEADLINE_EXCEEDED, `silent for ${SILENCE_MS} ms`);
    } else {
      this.send({ message: 'heartbeat', heartbeat: { atMs: nowMs } });
    }
  }
}

export interface EdgeStreamServer {
  readonly port: number;
  session(node: NodeName): EdgeSession | undefined;
  sessions(): EdgeSession[];
  /** Ends all streams; edges dial the next controller. */
  close(): Promise<void>;
}

export async function serveEdgeStreams(
  options: EdgeStreamOptions,
  handler: EdgeStreamHandler,
): Promise<EdgeStreamServer> {
  const sessions = new Map<NodeName, EdgeSession>();
  const server = new grpc.Server({
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  });
  server.addService(EDGE_STREAM_SERVICE, {
    connect: (call: Call) => accept(call, sessions, options.controller, handler),
  });
  const { ca, cert, key } = options.tls;
  const credentials = grpc.ServerCredentials.createSsl(
    ca,
    [{ cert_chain: cert, private_key: key }],
    true,
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(options.listen, credentials, (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const beat = setInterval(() => {
    const nowMs = Date.now();
    for (const session of sessions.values()) session.beat(nowMs);
  }, HEARTBEAT_MS);
  return {
    port,
    session: (node) => sessions.get(node),
    sessions: () => [...sessions.values()],
    close: () => {
      clearInterval(beat);
      for (const session of sessions.values()) {
        session.close(grpc.status.UNAVAILABLE, 'the controller stops');
      }
      return new Promise((resolve) => {
        const force = setTimeout(() => server.forceShutdown(), 1000);
        server.tryShutdown(() => {
          clearTimeout(force);
          resolve();
        });
      });
    },
  };
}

/** Runs one stream from its first message to its end. */
function accept(
  call: Call,
  sessions: Map<NodeName, EdgeSession>,
  controller: string,
  handler: EdgeStreamHandler,
): void {
  const certificate = call.getAuthContext()?.sslPeerCertificate;
  const identity = certificate ? identityOf(certificate) : null;
  if (identity?.role !== 'edge') {
    refuse(call, grpc.status.PERMISSION_DENIED, 'the certificate is not that of an edge');
    return;
  }
  if (sessions.size >= MAX_SESSIONS && !sessions.has(identity.id)) {
    refuse(call, grpc.status.RESOURCE_EXHAUSTED, `${MAX_SESSIONS} edges are connected already`);
    return;
  }
  const node = identity.id;
  let session: EdgeSession | undefined;
  const helloTimer = setTimeout(
    () => refuse(call, grpc.status.DEADLINE_EXCEEDED, 'no hello'),
    HELLO_TIMEOUT_MS,
  );
  const ended = (why: string): void => {
    clearTimeout(helloTimer);
    if (!session) return;
    const gone = session;
    session = undefined;
    gone.close(grpc.status.OK, why);
    if (sessions.get(node) !== gone) return;
    sessions.delete(node);
    handler.disconnected(gone, why);
  };
  const greet = (hello: Hello): void => {
    clearTimeout(helloTimer);
    const former = sessions.get(node);
    session = new EdgeSession(
      node,
      call,
      () => handler.fenceOf(node),
      (drained) => handler.drained(drained),
    );
    sessions.set(node, session);
    former?.close(grpc.status.ABORTED, 'the edge has connected anew');
    session.send({ message: 'welcome', welcome: { controller } });
    handler.connected(session, hello);
  };
  call.on('data', (message: Up) => {
    try {
      assertWellFormed(message);
      // A kind of message that only a newer edge knows has no field that is set here.
      if ((message.message as unknown) === undefined) return;
      if (!session) {
        if (message.message !== 'hello') throw new RangeError('the first message is not hello');
        greet(message.hello);
      } else if (message.message === 'hello') {
        throw new RangeError('hello was said already');
      } else if (!session.heard(message)) {
        handler.message(session, message);
      }
    } catch (error) {
      refuse(call, grpc.status.INVALID_ARGUMENT, (error as Error).message);
    }
  });
  call.on('end', () => {
    ended('the edge ended the stream');
    call.end();
  });
  call.on('cancelled', () => ended('the connection was cut'));
  call.on('error', (error: Error) => ended(error.message));
  call.on('close', () => ended('the stream was closed'));
}

/** What an older or hostile edge could send and the types do not forbid. */
function assertWellFormed(message: Up): void {
  switch (message.message) {
    case 'hello':
      safe(message.hello.incarnation);
      safe(message.hello.acceptedRevision);
      return;
    case 'applied':
      safe(message.applied.revision);
      return;
    case 'specRefused':
      safe(message.specRefused.revision);
      return;
    default:
  }
}

function refuse(call: Call, code: grpc.status, details: string): void {
  if (code === grpc.status.OK) call.end();
  else call.emit('error', { code, details, message: details });
}
