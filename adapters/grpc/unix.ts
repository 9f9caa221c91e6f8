/** A service on a unix socket that only root can open. */
import { chmod, mkdir, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';

export interface UnixServer {
  /** Lets calls under way end for a second, and takes the socket away. */
  close(): Promise<void>;
}

/** Rejects where another `who` answers on `path`; a socket that nobody serves is replaced. */
export async function serveUnix(
  path: string,
  who: string,
  service: ServiceDefinition,
  implementation: UntypedServiceImplementation,
): Promise<UnixServer> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  if (await answers(path)) throw new Error(`another ${who} serves ${path}`);
  await unlink(path).catch(() => undefined);
  const server = new Server();
  server.addService(service, implementation);
  // Between bind and chmod others would get in by the umask alone.
  const umask = process.umask(0o177);
  try {
    await bind(server, `unix:${path}`);
    await chmod(path, 0o600);
  } finally {
    process.umask(umask);
  }
  return { close: () => close(server, path) };
}

const bind = (server: Server, address: string): Promise<void> =>
  new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    );
  });

const close = (server: Server, path: string): Promise<void> =>
  new Promise((resolve) => {
    const force = setTimeout(() => server.forceShutdown(), 1_000);
    server.tryShutdown(() => {
      clearTimeout(force);
      void unlink(path)
        .catch(() => undefined)
        .then(() => resolve());
    });
  });

const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path)
      .on('connect', () => {
        socket.destroy();
        resolve(true);
      })
      .on('error', () => resolve(false));
  });
