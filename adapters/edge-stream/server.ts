/**
 * The controller's end of the edge streams: mTLS, one session an edge, its name from its certificate.
 */
import * as grpc from '@grpc/grpc-js';
import type { OwnerFence } from '../../core/model/edge-spec';
import type { NodeName } from '../../core/model/ids';
import { type Caller, callerOf, type Credentials, type Offered } from '../grpc/mtls';
import { safe } from '../grpc/service';
import { Admission } from './admission';
import { listen } from './listen';
import {
  type DownMessages,
  EDGE_STREAM_SERVICE,
  HEARTBEAT_MS,
  type Hello,
  PROTOCOL,
  type Up,
} from './proto';
import {
  type Call,
  type ClusterHint,
  EdgeSession,
  refuse,
  type ReplyKind,
  type World,
} from './session';

export { type ClusterHint, EdgeSession } from './session';

export interface EdgeStreamHandler {
  /** Fence for what goes down to this edge; null while its shard is not ours. */
  fenceOf(node: NodeName): OwnerFence | null;
  /** Its shard was ours, is not now, and we don't know whose it is: the edge may look around. */
  lostOf?(node: NodeName): boolean;
  /** Why a certificate that was issued then is of no use any more; null: it is. */
  barred?(node: NodeName, issuedAtMs: number): string | null;
  /** A stream said hello. A former one of the same node was closed before, without `disconnected`. */
  connected(session: EdgeSession, hello: Hello): void;
  message(session: EdgeSession, message: Exclude<Up, { message: 'hello' | ReplyKind }>): void;
  drained(session: EdgeSession): void;
  disconnected(session: EdgeSession, why: string): void;
  /** A stream, or a connection, was sent away. */
  refused?(why: RefusedWhy): void;
}

/** `handshakes`: too many wait; `pace`: too many hellos of late; `full`: as many as there may be are connected. */
export type RefusedWhy = 'handshakes' | 'pace' | 'full' | 'certificate';

export interface EdgeStreamOptions {
  /** `host:port`; port 0: any free one. */
  listen: string;
  tls: Credentials;
  /** Id of this controller. */
  controller: string;
  /** What each edge is told of the cluster, with its welcome and with heartbeats. */
  cluster?: () => ClusterHint;
  /** Of heartbeats; a stream that is silent for three of them is given up. */
  heartbeatMs?: number;
  /** What else is offered at this port, to whoever has a certificate; it looks at that itself. */
  beside?: Offered;
}

const NO_HINT: ClusterHint = { controllers: [], spreadMs: 0 };

/** One process carries no more: an mTLS storm of this many already blocks its loop for 9 s. */
export const MAX_SESSIONS = 2000;
const HELLO_TIMEOUT_MS = 10_000;
/** While all places are taken. */
const FULL_RETRY_MS = 10_000;
/** Whoever is barred may have another certificate by then, or its node is declared anew. */
const BARRED_RETRY_MS = 5_000;
/** Heartbeats go out in as many parts, one after the other: no moment is for all edges. */
const BEAT_PARTS = 15;

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
  const host = new Host(options, handler);
  const connect = (call: Call): void => host.accept(call);
  const { port, close } = await listen({
    listen: options.listen,
    tls: options.tls,
    services: [
      { service: EDGE_STREAM_SERVICE, implementation: { connect } },
      ...(options.beside ? [options.beside] : []),
    ],
    turnedAway: () => handler.refused?.('handshakes'),
  });
  const everyMs = options.heartbeatMs ?? HEARTBEAT_MS;
  let part = 0;
  const watch = (): void => {
    part = (part + 1) % BEAT_PARTS;
    for (const session of host.sessions.values()) {
      if (session.serial % BEAT_PARTS === part) session.watch(everyMs);
    }
  };
  // After a pause of this process timers come first: what edges said meanwhile is to be read before.
  const beat = setInterval(() => setImmediate(watch), everyMs / BEAT_PARTS);
  return {
    port,
    session: (node) => host.sessions.get(node),
    sessions: () => [...host.sessions.values()],
    close: () => {
      clearInterval(beat);
      for (const session of host.sessions.values()) {
        session.close(grpc.status.UNAVAILABLE, 'the controller stops');
      }
      return close();
    },
  };
}

/** The streams of one server. */
class Host {
  readonly sessions = new Map<NodeName, EdgeSession>();
  readonly #admission = new Admission();

  constructor(
    private readonly options: EdgeStreamOptions,
    private readonly handler: EdgeStreamHandler,
  ) {}

  /** Runs one stream from its first message to its end. */
  accept(call: Call): void {
    const caller = callerOf(call);
    if (caller?.role !== 'edge') {
      this.handler.refused?.('certificate');
      refuse(call, grpc.status.PERMISSION_DENIED, 'the certificate is not that of an edge');
      return;
    }
    const { id: node, issuedAtMs } = caller;
    if (this.#barred(call, node, issuedAtMs) || this.#turnedAway(call, node)) return;
    let session: EdgeSession | undefined;
    let isOver = false;
    const helloTimer = setTimeout(
      () => refuse(call, grpc.status.DEADLINE_EXCEEDED, 'no hello'),
      HELLO_TIMEOUT_MS,
    );
    const ended = (why: string): void => {
      clearTimeout(helloTimer);
      // Its status waits until what was written before is taken: meanwhile more may come.
      isOver = true;
      call.pause();
      if (session) this.#ended(session, why);
      session = undefined;
    };
    call.on('data', (message: Up) => {
      if (isOver) return;
      try {
        assertWellFormed(message);
        // A kind of message that only a newer edge knows has no field that is set here.
        if ((message.message as unknown) === undefined) return;
        if (!session) {
          if (message.message !== 'hello') throw new RangeError('the first message is not hello');
          clearTimeout(helloTimer);
          // It may have waited with that since another one was issued.
          if (this.#barred(call, node, issuedAtMs)) return;
          session = this.#greet(call, caller, message.hello);
        } else if (message.message === 'hello') {
          throw new RangeError('hello was said already');
        } else if (!session.heard(message)) {
          this.handler.message(session, message);
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

  #barred(call: Call, node: NodeName, issuedAtMs: number): boolean {
    const why = this.handler.barred?.(node, issuedAtMs) ?? null;
    if (why === null) return false;
    this.handler.refused?.('certificate');
    refuse(call, grpc.status.PERMISSION_DENIED, why, BARRED_RETRY_MS);
    return true;
  }

  #turnedAway(call: Call, node: NodeName): boolean {
    const { sessions, handler } = this;
    const isFull = sessions.size >= MAX_SESSIONS && !sessions.has(node);
    const waitMs = isFull ? FULL_RETRY_MS : this.#admission.admit(node, performance.now());
    if (waitMs === 0) return false;
    handler.refused?.(isFull ? 'full' : 'pace');
    const why = isFull ? `${MAX_SESSIONS} edges are connected already` : 'too many come at once';
    refuse(call, grpc.status.RESOURCE_EXHAUSTED, why, waitMs);
    return true;
  }

  #greet(call: Call, { id: node, issuedAtMs }: Caller, hello: Hello): EdgeSession {
    const { sessions, options, handler } = this;
    const former = sessions.get(node);
    const opened = { node, issuedAtMs, protocol: hello.protocol };
    const session = new EdgeSession(opened, call, worldOf(node, options, handler));
    sessions.set(node, session);
    former?.close(grpc.status.ABORTED, 'the edge has connected anew');
    session.send({ message: 'welcome', welcome: welcomeOf(options) });
    handler.connected(session, hello);
    return session;
  }

  #ended(session: EdgeSession, why: string): void {
    session.close(grpc.status.OK, why);
    if (this.sessions.get(session.node) !== session) return;
    this.sessions.delete(session.node);
    this.handler.disconnected(session, why);
  }
}

const worldOf = (
  node: NodeName,
  { cluster }: EdgeStreamOptions,
  handler: EdgeStreamHandler,
): World => ({
  fence: () => handler.fenceOf(node),
  lost: () => handler.lostOf?.(node) ?? false,
  hint: () => cluster?.() ?? NO_HINT,
  drained: (session) => handler.drained(session),
});

function welcomeOf({ controller, cluster }: EdgeStreamOptions): DownMessages['welcome'] {
  const { controllers, spreadMs } = cluster?.() ?? NO_HINT;
  return { controller, protocol: PROTOCOL, controllers: [...controllers], spreadMs };
}

/** What an older or hostile edge could send and the types do not forbid. */
function assertWellFormed(message: Up): void {
  switch (message.message) {
    case 'hello':
      safe(message.hello.incarnation);
      safe(message.hello.acceptedRevision);
      safeFence(message.hello.fence);
      return;
    case 'fenced':
      safeFence(message.fenced.fence);
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

function safeFence(fence: OwnerFence | null): void {
  if (fence === null) return;
  safe(fence.clusterIncarnation);
  safe(fence.ownerRevision);
}
