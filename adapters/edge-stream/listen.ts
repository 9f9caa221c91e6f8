/** The port that edges come to: a gRPC server behind a door that paces handshakes. */
import * as grpc from '@grpc/grpc-js';
import type { Credentials, Offered } from '../grpc/mtls';
import { serverCredentials } from '../grpc/tls';
import { openDoor } from './door';

export interface ListenOptions {
  /** `host:port`; port 0: any free one. */
  listen: string;
  tls: Credentials;
  services: readonly Offered[];
  turnedAway: () => void;
}

export interface Listening {
  readonly port: number;
  /** Lets calls under way end for a second. */
  close(): Promise<void>;
}

/** A drift report of a host with thousands of links has its place, a flood has not. */
const MAX_MESSAGE_BYTES = 4 << 20;
/**
 * More than an edge has open: its stream, two polls, what its activities answer. Each may hold a message but for its last byte
 * before anybody looks whose it is, of all connections of a certificate; what is above this waits at the other end.
 */
const STREAMS_PER_CONNECTION = 16;
const GRACE_MS = 1_000;

export async function listen(options: ListenOptions): Promise<Listening> {
  const server = new grpc.Server({
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_concurrent_streams': STREAMS_PER_CONNECTION,
    'grpc.enable_channelz': 0,
    interceptors: [
      (_method, call) => {
        door.entered(call.getPeer(), () => clientOf(call));
        return new grpc.ServerInterceptingCall(call);
      },
    ],
  });
  for (const { service, implementation } of options.services) {
    server.addService(service, implementation);
  }
  const injector = server.createConnectionInjector(serverCredentials(options.tls));
  const door = await openDoor({
    listen: options.listen,
    enter: (socket) => injector.injectConnection(socket),
    turnedAway: options.turnedAway,
  });
  return {
    port: door.port,
    close: () => {
      door.close();
      return new Promise((resolve) => {
        const force = setTimeout(() => {
          server.forceShutdown();
          door.clear();
        }, GRACE_MS);
        server.tryShutdown(() => {
          clearTimeout(force);
          resolve();
        });
      });
    },
  };
}

/** One certificate, not all of its name: who has a former one, which is of no use, puts its owner's connections out of none. */
function clientOf(call: grpc.ServerInterceptingCallInterface): string {
  return call.getAuthContext().sslPeerCertificate?.fingerprint256 ?? 'nobody';
}
