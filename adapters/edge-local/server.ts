/** The agent's own socket: root only, works without any control plane. */
import { chmod, mkdir, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import {
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerUnaryCall,
} from '@grpc/grpc-js';
import type { EdgeStatus } from '../../core/model/messages';
import { safe } from '../grpc/service';
import { EDGE_LOCAL_SERVICE, type FreezeRequest, type StatusResponse } from './proto';

/** What the socket asks of the agent. */
export interface EdgeLocalPort {
  status(): EdgeStatus;
  /** `forMs` 0: until unfrozen. Resolves once it is on disk, or known that it can't be. */
  freeze(forMs: number, reason: string): Promise<EdgeStatus>;
  unfreeze(): Promise<EdgeStatus>;
}

export interface EdgeLocalServer {
  close(): Promise<void>;
}

/** Rejects where another agent answers on `path`; a socket that nobody serves is replaced. */
export async function serveEdgeLocal(path: string, port: EdgeLocalPort): Promise<EdgeLocalServer> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  if (await answers(path)) throw new Error(`another agent serves ${path}`);
  await unlink(path).catch(() => undefined);
  const server = new Server();
  server.addService(EDGE_LOCAL_SERVICE, {
    status: unary(() => port.status()),
    freeze: unary(({ forMs, reason }: FreezeRequest) => port.freeze(safe(forMs), reason)),
    unfreeze: unary(() => port.unfreeze()),
  });
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

const unary =
  <Q>(answer: (request: Q) => EdgeStatus | Promise<EdgeStatus>) =>
  (call: ServerUnaryCall<Q, StatusResponse>, done: sendUnaryData<StatusResponse>): void => {
    void (async () => answer(call.request))().then(
      (edge) => done(null, { statusJson: Buffer.from(JSON.stringify(edge)) }),
      (error: unknown) => done({ code: status.INTERNAL, details: String(error) }),
    );
  };

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
