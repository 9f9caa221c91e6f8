/**
 * Serves the admin API by two doors: a unix socket that only its owner can open, and mutual TLS, where the
 * certificate's role says what may be asked for (acts.ts). Every act leaves one line, however it ends.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import type { Identity } from '../ca/identity';
import { callerOf, nameOf, type Offered, type Served } from '../grpc/mtls';
import type { AuditLine } from '../telemetry/logger';
import { Seldom } from '../telemetry/seldom';
import {
  type AdminRole,
  adminRoleOf,
  type Asked,
  asked,
  type Caller,
  isAudited,
  leastRole,
  leastRoleOf,
  mayAsk,
  mayDo,
} from './acts';
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
  forbidden: grpc.status.PERMISSION_DENIED,
  unknown: grpc.status.UNKNOWN,
};
/** A trailer travels in HTTP/2 headers: what is above this is left out. */
const MAX_ISSUES_BYTES = 30_000;

export interface AdminServing {
  port: AdminPort;
  audit: (line: AuditLine) => void;
  /** What was no refusal, but a defect or something out of reach. */
  onError: (verb: string, error: unknown) => void;
}

export interface AdminServer {
  close(): void;
}

/** The unix socket: who opens it is root, and says on whose behalf. */
export async function serveAdmin(socket: string, serving: AdminServing): Promise<AdminServer> {
  await claimSocket(socket);
  const server = new grpc.Server({ 'grpc.max_receive_message_length': 64 << 20 });
  const { service, implementation } = served(serving, ({ metadata }) => ({
    role: 'root',
    by: String(metadata.get(BY)[0] ?? 'root'),
  }));
  server.addService(service, implementation);
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

/** For a server that asks for certificates. */
export function adminServed(serving: AdminServing): Served {
  const told = new Seldom(MACHINES_EVERY_MS);
  const admits: Served['admits'] = (identity, path) => {
    const caller = callerNamed(identity);
    const verb = verbOf(path);
    if (verb === null || mayAsk(caller, verb)) return null;
    const { message } = mayNot(caller, verb, leastRoleOf(verb));
    const more = caller.role === null ? told.due(`${caller.by} ${verb}`) : 0;
    if (more !== null) {
      const line = { by: caller.by, verb, object: NOT_READ, outcome: `refused: ${message}` };
      serving.audit({ audit: true, ...line, ...(more > 0 ? { more } : {}) });
    }
    return message;
  };
  return { ...served(serving, (call) => callerNamed(callerOf(call))), admits };
}

/** Whose certificate is no person's does no manual act: of each thing that it asks in vain a line a second says enough. */
const MACHINES_EVERY_MS = 1_000;

/** Of a request of which nothing but its verb was looked at. */
const NOT_READ = 'not read';

const callerNamed = (identity: Identity | null): Caller => ({
  role: identity && adminRoleOf(identity),
  by: nameOf(identity),
});

/** Methods are called as verbs are, with a capital. */
function verbOf(path: string): Verb | null {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const verb = name.charAt(0).toLowerCase() + name.slice(1);
  return verb in CODECS ? (verb as Verb) : null;
}

/** Bytes that are no message of ours: the handler is told, so that they leave a line as well. */
class Malformed extends Error {}

const TOLERANT_SERVICE: grpc.ServiceDefinition = Object.fromEntries(
  Object.entries(ADMIN_SERVICE).map(([name, method]) => [
    name,
    { ...method, requestDeserialize: tolerant(method.requestDeserialize) },
  ]),
);

function tolerant(decode: (bytes: Buffer) => unknown): (bytes: Buffer) => unknown {
  return (bytes) => {
    try {
      return decode(bytes);
    } catch (error) {
      return new Malformed((error as Error).message);
    }
  };
}

type Call = grpc.ServerUnaryCall<never, object>;

function served(serving: AdminServing, who: (call: Call) => Caller): Offered {
  const handlers = (Object.keys(CODECS) as Verb[]).map((verb) => [
    verb,
    handle(verb, serving, who),
  ]);
  return {
    service: TOLERANT_SERVICE,
    implementation: Object.fromEntries(handlers) as grpc.UntypedServiceImplementation,
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
  { port, audit, onError }: AdminServing,
  who: (call: Call) => Caller,
): grpc.handleUnaryCall<never, object> {
  const { request, response } = CODECS[verb];
  const read = (call: Call, { by }: Caller) => {
    try {
      const wire: unknown = call.request;
      if (wire instanceof Malformed) throw wire;
      const input = request.fromWire(call.request);
      return { input, what: asked(verb, input) };
    } catch (error) {
      const message = `the request can't be read: ${(error as Error).message}; nothing was done.`;
      audit({ audit: true, by, verb, object: NOT_READ, outcome: `refused: ${message}` });
      throw new AdminError({ code: 'invalid', message, issues: [] });
    }
  };
  const serve = async (call: Call): Promise<object> => {
    const caller = who(call);
    const { input, what } = read(call, caller);
    const line = { audit: true as const, by: caller.by, verb: what.act, object: what.object };
    try {
      if (!mayDo(caller, what)) throw mayNot(caller, actOf(what), leastRole(what));
      const answer = await port[verb](input, caller.by);
      if (isAudited(what)) {
        audit({ ...line, ...picked(input, GIVEN), ...picked(answer, CAME), outcome: 'done' });
      }
      return response.toWire(answer);
    } catch (error) {
      const outcome = `${isRefusal(error) ? 'refused' : 'failed'}: ${(error as Error).message}`;
      if (isAudited(what) || caller.role === null) {
        audit({ ...line, ...picked(input, GIVEN), outcome });
      }
      throw error;
    }
  };
  // Within the promise, so that a request that can't be decoded is an answer too.
  return (call, done) => {
    serve(call).then(
      (answer) => done(null, answer),
      (error: unknown) => {
        if (!(error instanceof AdminError)) onError(verb, error);
        done(toStatus(error));
      },
    );
  };
}

/** Nothing was done. */
const isRefusal = (error: unknown): boolean =>
  error instanceof AdminError && error.failure.code !== 'unknown';

const actOf = ({ act, force }: Asked): string => (force ? `${act} by force` : act);

/** `drainController` as a person says it. */
const wordsOf = (act: string): string =>
  act.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

function mayNot({ by }: Caller, act: string, role: AdminRole): AdminError {
  const message = `${by} may not ${wordsOf(act)}; it takes the role ${role}; nothing was done.`;
  return new AdminError({ code: 'forbidden', message });
}

/** What is told of a request and of its answer besides the object; never a resource. */
const GIVEN = ['from', 'to', 'reason', 'forMs', 'force', 'nodes'];
const CAME = ['revision', 'deletionRevision', 'workflowId', 'started', 'incidentId'];

/** Of a list of changes, what became of each. */
function picked(value: object, names: readonly string[]): object {
  if (Array.isArray(value)) {
    const changes = value as { kind: string; name: string; action: string; revision: number }[];
    return {
      changes: changes.map(({ kind, name, action, revision }) => ({
        kind,
        name,
        action,
        revision,
      })),
    };
  }
  const told = Object.entries(value).filter(([key, fact]) => names.includes(key) && fact !== null);
  return Object.fromEntries(told);
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
