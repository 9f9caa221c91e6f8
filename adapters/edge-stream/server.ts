/**
 * The controller's end of the edge streams: mTLS, one session an edge, its name from its certificate.
 */
import * as grpc from '@grpc/grpc-js';
import type { OwnerFence } from '../../core/model/edge-spec';
import type { NodeName } from '../../core/model/ids';
import { identityOf } from '../ca/identity';
import { safe } from '../grpc/service';
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
  /** Id of this controller. */
  controller: string;
  /** What each edge is told of the cluster, with its welcome and with heartbeats. */
  cluster?: () => ClusterHint;
  /** Of heartbeats; a stream that is silent for three of them is given up. */
  heartbeatMs?: number;
  /** What else is offered at this port, to whoever has a certificate; it looks at that itself. */
  beside?: { service: grpc.ServiceDefinition; implementation: grpc.UntypedServiceImplementation };
}

const NO_HINT: ClusterHint = { controllers: [], spreadMs: 0 };

/** One process carries no more: an mTLS storm of this many already blocks its loop for 9 s. */
export const MAX_SESSIONS = 2000;
const HELLO_TIMEOUT_MS = 10_000;
/** A drift report of a host with thousands of links has its place, a flood has not. */
const MAX_MESSAGE_BYTES = 4 << 20;

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
    connect: (call: Call) => accept(call, sessions, options, handler),
  });
  const { beside } = options;
  if (beside !== undefined) server.addService(beside.service, beside.implementation);
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
  const everyMs = options.heartbeatMs ?? HEARTBEAT_MS;
  const beat = setInterval(() => {
    for (const session of sessions.values()) session.watch(everyMs);
  }, everyMs);
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
  options: EdgeStreamOptions,
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
    session = new EdgeSession(node, hello.protocol, call, worldOf(node, options, handler));
    sessions.set(node, session);
    former?.close(grpc.status.ABORTED, 'the edge has connected anew');
    session.send({ message: 'welcome', welcome: welcomeOf(options) });
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
