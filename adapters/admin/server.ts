/** Serves the admin API on a unix socket that only its owner can open. */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import {
  ADMIN_SERVICE,
  AdminError,
  type AdminFailure,
  type AdminPort,
  BY,
  CODECS,
  ISSUES,
  type Verb,
} from './proto';

const STATUS: Record<AdminFailure['code'], grpc.status> = {
  invalid: grpc.status.INVALID_ARGUMENT,
  stale: grpc.status.ABORTED,
  notFound: grpc.status.NOT_FOUND,
  precondition: grpc.status.FAILED_PRECONDITION,
  unavailable: grpc.status.UNAVAILABLE,
};
/** A trailer travels in HTTP/2 headers: what is above this is left out. */
const MAX_ISSUES_BYTES = 30_000;

export interface AdminServer {
  close(): void;
}

/** `onError`: what was no refusal, but a defect or something out of reach. */
export async function serveAdmin(
  socket: string,
  port: AdminPort,
  onError: (verb: string, error: unknown) => void,
): Promise<AdminServer> {
  await claimSocket(socket);
  const server = new grpc.Server({ 'grpc.max_receive_message_length': 64 << 20 });
  const handlers = Object.fromEntries(
    (Object.keys(CODECS) as Verb[]).map((verb) => [verb, handle(verb, port, onError)]),
  );
  server.addService(ADMIN_SERVICE, handlers as grpc.UntypedServiceImplementation);
  await new Promise<void>((resolve, reject) => {
    // Before anybody can connect, not after: the file is made with the mode it shall have.
    const former = process.umask(0o177);
    server.bindAsync(`unix:${socket}`, grpc.ServerCredentials.createInsecure(), (error) => {
      process.umask(former);
      if (error) reject(error);
      else resolve();
    });
  });
  return {
    close: () => {
      server.forceShutdown();
      rmSync(socket, { force: true });
    },
  };
}

/** Removes the socket of a process that is gone; one that is answered is somebody's. */
async function claimSocket(socket: string): Promise<void> {
  mkdirSync(dirname(socket), { recursive: true, mode: 0o700 });
  if (!existsSync(socket)) return;
  const taken = await new Promise<boolean>((resolve) => {
    const probe = connect(socket, () => resolve(true));
    probe.on('error', () => resolve(false));
    probe.on('connect', () => probe.destroy());
  });
  if (taken) throw new Error(`another process serves ${socket}; stop it, or use another path`);
  rmSync(socket);
}

function handle<V extends Verb>(
  verb: V,
  port: AdminPort,
  onError: (verb: string, error: unknown) => void,
): grpc.handleUnaryCall<never, object> {
  const { request, response } = CODECS[verb];
  return (call, done) => {
    const by = String(call.metadata.get(BY)[0] ?? 'root');
    // Within the promise, so that a request that can't be decoded is an answer too.
    Promise.resolve()
      .then(() => port[verb](request.fromWire(call.request), by))
      .then(
        (value) => done(null, response.toWire(value)),
        (error: unknown) => {
          if (!(error instanceof AdminError)) onError(verb, error);
          done(toStatus(error));
        },
      );
  };
}

function toStatus(error: unknown): grpc.ServiceError | Partial<grpc.StatusObject> {
  const details = error instanceof Error ? error.message : String(error);
  if (!(error instanceof AdminError)) return { code: grpc.status.INTERNAL, details };
  const { failure } = error;
  const metadata = new grpc.Metadata();
  if (failure.code === 'invalid') {
    const fitting = [...failure.issues];
    while (asciiJson(fitting).length > MAX_ISSUES_BYTES) fitting.length >>= 1;
    metadata.set(ISSUES, asciiJson(fitting));
  }
  return { code: STATUS[failure.code], details, metadata };
}

/** Headers hold ASCII only; JSON can say everything in it. */
const asciiJson = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
