/** Services over mutual TLS: who calls is read from the verified certificate, and from nowhere else. */
import type { PeerCertificate } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { type Identity, identityOf } from '../ca/identity';

/** PEM. */
export interface Credentials {
  ca: Buffer;
  cert: Buffer;
  key: Buffer;
}

export interface Served {
  service: grpc.ServiceDefinition;
  implementation: grpc.UntypedServiceImplementation;
}

export interface MtlsServer {
  readonly port: number;
  /** Lets calls under way end for a second. */
  close(): Promise<void>;
}

const MAX_MESSAGE_BYTES = 64 << 20;

/** `listen`: `host:port`; port 0: any free one. */
export async function serveMtls(
  listen: string,
  { ca, cert, key }: Credentials,
  served: readonly Served[],
): Promise<MtlsServer> {
  const server = new grpc.Server({
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  });
  for (const { service, implementation } of served) server.addService(service, implementation);
  const credentials = grpc.ServerCredentials.createSsl(
    ca,
    [{ cert_chain: cert, private_key: key }],
    true,
  );
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

/** Null: a certificate of ours, but none that names anybody. */
export function callerOf(call: {
  getAuthContext(): { sslPeerCertificate?: PeerCertificate };
}): Identity | null {
  const { sslPeerCertificate } = call.getAuthContext();
  return sslPeerCertificate ? identityOf(sslPeerCertificate) : null;
}
