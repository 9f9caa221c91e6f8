/** Services over mutual TLS: who calls is read from the verified certificate, and from nowhere else. */
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { CONTROLLER_SERVER_NAME, type Identity, identityOf } from '../ca/identity';
import { clientCredentials, type Pem, serverCredentials } from './tls';

export type Credentials = Pem;

export interface Offered {
  service: grpc.ServiceDefinition;
  implementation: grpc.UntypedServiceImplementation;
}

export interface Served extends Offered {
  /** Why a call of this caller is refused before its message is read; null: it is read. */
  admits(caller: Identity | null, path: string): string | null;
}

export { CONTROLLER_SERVER_NAME };

export interface MtlsServer {
  readonly port: number;
  /** Lets calls under way end for a second. */
  close(): Promise<void>;
}

const MAX_MESSAGE_BYTES = 64 << 20;
/** More wait at the other end. */
const STREAMS_PER_CONNECTION = 100;

/** `listen`: `host:port`; port 0: any free one. */
export async function serveMtls(
  listen: string,
  tls: Credentials,
  served: readonly Served[],
): Promise<MtlsServer> {
  const admission = new Map(
    served.flatMap(({ service, admits }) =>
      Object.values(service).map((method) => [method.path, admits]),
    ),
  );
  const server = new grpc.Server({
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_concurrent_streams': STREAMS_PER_CONNECTION,
    interceptors: [
      ({ path }, call) => {
        return new grpc.ServerInterceptingCall(call, {
          start: (next) => {
            const details = admission.get(path)?.(callerOf(call), path) ?? null;
            // Nobody listens then: what comes stays with the transport, which takes no more than its window.
            if (details === null) next();
            else call.sendStatus({ code: grpc.status.PERMISSION_DENIED, details });
          },
        });
      },
    ],
  });
  for (const { service, implementation } of served) server.addService(service, implementation);
  const credentials = serverCredentials(tls);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(listen, credentials, (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        const force = setTimeout(() => server.forceShutdown(), 1_000);
        server.tryShutdown(() => {
          clearTimeout(force);
          resolve();
        });
      }),
  };
}

export interface Caller extends Identity {
  /** When the certificate was issued. Whole seconds, as certificates say it. */
  issuedAtMs: number;
}

/** Null: a certificate of ours, but none that names anybody. It is decoded anew each time, a tenth of a millisecond. */
export function callerOf(call: {
  getAuthContext(): { sslPeerCertificate?: PeerCertificate };
}): Caller | null {
  const { sslPeerCertificate: certificate } = call.getAuthContext();
  const identity = certificate ? identityOf(certificate) : null;
  return identity && { ...identity, issuedAtMs: Date.parse(certificate?.valid_from ?? '') };
}

/** `edge/fra-1`, as logs and refusals say it. */
export const nameOf = (found: Identity | null): string =>
  found === null ? 'nobody' : `${found.role}/${found.id}`;

/** A channel to a controller whose certificate has to be that of one, and as `is` says. */
export function dialMtls(
  address: string,
  tls: Credentials,
  is: (found: Identity | null) => boolean,
  options: grpc.ClientOptions = {},
): grpc.Client {
  const credentials = clientCredentials(tls, {
    checkServerIdentity: (_host, certificate) => {
      const wrong = checkServerIdentity(CONTROLLER_SERVER_NAME, certificate);
      if (wrong) return wrong;
      const found = identityOf(certificate);
      if (is(found)) return undefined;
      return new Error(`the certificate there is that of ${nameOf(found)}`);
    },
  });
  return new grpc.Client(address, credentials, {
    'grpc.ssl_target_name_override': CONTROLLER_SERVER_NAME,
    'grpc.default_authority': CONTROLLER_SERVER_NAME,
    'grpc.use_local_subchannel_pool': 1,
    ...options,
  });
}
