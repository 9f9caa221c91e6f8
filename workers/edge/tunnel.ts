/**
 * The way of this host's Temporal Worker to its controller: calls that come to a port of the loopback go on over the
 * connection of the edge stream that leads to one. So an edge has one connection, one TLS session and one certificate
 * with its controller, and the Worker's own connection never breaks (decision 0156).
 *
 * A call that comes while no controller is there waits here: the Worker, which would try again only after
 * a growing pause, is served the moment there is one. So does a poll that is refused: to the Worker a refusal would be the
 * end, and what is refused now is taken when the node is declared again, or its certificate renewed. And one that its
 * controller can't pass on while Temporal is out of its reach: the Worker has one poll, and would pause for ten seconds.
 * Nobody but the user that runs this process may connect.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { endianness } from 'node:os';
import * as grpc from '@grpc/grpc-js';
import type { Calls } from '../../adapters/edge-stream/dial';
import { PASSED_METHODS, POLL } from '../../adapters/gateway/rules';
import { rawMethod, WORKFLOW_SERVICE } from '../../adapters/gateway/server';
import { fieldsOf } from '../../adapters/gateway/wire';

/** A controller that has become another one is given so long to answer what it was asked. */
const MOVE_AFTER_MS = 1_000;
/** When a connection is cut its calls fail first, and who leads is known a moment later. */
const DOUBT_MS = 100;
/** Polls of former controllers that are not given up; each ends by itself, within a minute or so. A gateway takes 8 of an edge. */
const LEFT_MAX = 4;
/** What one of them brought waits so long for the Worker's next poll. Later it comes again by its heartbeat time. */
const KEPT_MS = 1_000;
const LOOPBACK = '127.0.0.1';
/** The Worker has one. What others hold open until it is their turn to be put out takes no more descriptors than this. */
const CONNECTIONS_MAX = 16;
/** A poll that was refused is asked again: whoever refused it need not tell when it would be taken. */
const ASK_AGAIN_FIRST_MS = 1_000;
const ASK_AGAIN_MAX_MS = 15_000;
/** Temporal may be back any moment, and until then the host repairs alone. */
const ASK_AGAIN_UNAVAILABLE_MAX_MS = 4_000;
/** A refusal comes at once; a poll that is taken lasts. */
const TAKEN_AFTER_MS = 1_000;
const { UNAVAILABLE, CANCELLED } = grpc.status;

/** What ends a Worker of the SDK for good, where a poll is answered with it. */
const REFUSALS: ReadonlySet<grpc.status> = new Set([
  grpc.status.INVALID_ARGUMENT,
  grpc.status.NOT_FOUND,
  grpc.status.ALREADY_EXISTS,
  grpc.status.PERMISSION_DENIED,
  grpc.status.FAILED_PRECONDITION,
  grpc.status.OUT_OF_RANGE,
  grpc.status.UNIMPLEMENTED,
  grpc.status.UNAUTHENTICATED,
]);

/** Where the edge's streams lead. */
export interface Leading {
  /** Null: nowhere now. */
  readonly gateway: Calls | null;
  onChange(listener: () => void): void;
}

type Call = grpc.ServerUnaryCall<Buffer, Uint8Array>;
type Answer = grpc.sendUnaryData<Uint8Array>;

/** One call of the Worker. */
interface Passing {
  readonly call: Call;
  readonly isPoll: boolean;
  /** Once; later ones are of no effect. */
  readonly end: (error: Partial<grpc.ServiceError> | null, answer?: Uint8Array) => void;
  /** Null while it waits. */
  onward: { gateway: Calls; cancel(): void } | null;
}

export class Tunnel {
  private readonly passing = new Set<Passing>();
  /** Polls that the Worker has an answer to, and whose controller may be about to answer with a task. */
  private readonly left = new Set<Passing>();
  private brought: Uint8Array[] = [];
  private readonly grpcServer = new grpc.Server({ 'grpc.enable_channelz': 0 });
  private readonly server: Server;
  private looked: Promise<void> = Promise.resolve();
  private waits = true;
  private refusals = 0;
  private askAgain: NodeJS.Timeout | null = null;
  private refusal: string | null = null;
  private listener: () => void = () => undefined;

  private constructor(private readonly leading: Leading) {
    const service: Record<string, grpc.MethodDefinition<Buffer, Uint8Array>> = {};
    const implementation: grpc.UntypedServiceImplementation = {};
    for (const method of PASSED_METHODS) {
      const path = `/${WORKFLOW_SERVICE}/${method}`;
      service[path] = rawMethod(path);
      implementation[path] = (call: Call, answer: Answer) =>
        this.take(call, method === POLL, answer);
    }
    this.grpcServer.addService(service, implementation);
    const injector = this.grpcServer.createConnectionInjector(
      grpc.ServerCredentials.createInsecure(),
    );
    const enter = async (socket: Socket): Promise<void> => {
      const isIn = (await isOurs(socket)) && this.server.listening && !socket.destroyed;
      if (!isIn) return void socket.destroy();
      injector.injectConnection(socket);
      socket.resume();
    };
    this.server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => {
      socket.on('error', () => undefined);
      // One after another: a look takes milliseconds, and whoever connects in a loop must not have all of ours.
      this.looked = this.looked.then(() => enter(socket)).catch(() => void socket.destroy());
    });
    this.server.maxConnections = CONNECTIONS_MAX;
    leading.onChange(() => this.changed());
  }

  static async open(leading: Leading): Promise<Tunnel> {
    const tunnel = new Tunnel(leading);
    tunnel.server.listen(0, LOOPBACK);
    await once(tunnel.server, 'listening');
    return tunnel;
  }

  /** `127.0.0.1:port`. */
  get address(): string {
    return `${LOOPBACK}:${(this.server.address() as AddressInfo).port}`;
  }

  /** Why polls lead nowhere now; null: they lead to Temporal. */
  get problem(): string | null {
    return this.leading.gateway === null ? 'no controller is there now' : this.refusal;
  }

  /** Called where `problem` may be another one. */
  onProblem(listener: () => void): void {
    this.listener = listener;
  }

  /** Before a stop: from now on, where no controller is there, a call fails at once. */
  waitNoMore(): void {
    this.waits = false;
    this.soon(null);
    for (const one of [...this.passing]) if (one.onward === null) this.giveUp(one);
  }

  close(): void {
    this.soon(null);
    for (const one of this.left) one.onward?.cancel();
    this.left.clear();
    this.server.close();
    this.grpcServer.forceShutdown();
  }

  private take(call: Call, isPoll: boolean, answer: Answer): void {
    const one: Passing = {
      call,
      isPoll,
      end: (error, bytes) => {
        if (this.passing.delete(one)) answer(error, bytes);
      },
      onward: null,
    };
    const task = isPoll ? this.brought.shift() : undefined;
    if (task !== undefined) return answer(null, task);
    this.passing.add(one);
    call.on('cancelled', () => {
      if (this.passing.delete(one)) one.onward?.cancel();
    });
    this.pass(one);
  }

  private pass(one: Passing): void {
    const { gateway } = this.leading;
    if (gateway === null) {
      if (!this.waits) this.giveUp(one);
      return;
    }
    const { call } = one;
    const under = gateway.call(
      call.getPath(),
      call.request,
      call.getDeadline(),
      (error, answer) => {
        if (this.left.delete(one)) return this.bring(answer ?? new Uint8Array());
        if (error === null) {
          if (one.isPoll && this.refusal !== null) this.taken();
          return one.end(null, answer);
        }
        const { code, details, metadata } = error;
        const mayWait = one.isPoll && this.waits;
        if (mayWait && REFUSALS.has(code)) return this.refused(one, details, ASK_AGAIN_MAX_MS);
        if (code !== UNAVAILABLE && code !== CANCELLED) return one.end({ code, details, metadata });
        setTimeout(() => {
          if (this.leading.gateway !== gateway) this.giveUp(one);
          else if (mayWait) this.refused(one, details, ASK_AGAIN_UNAVAILABLE_MAX_MS);
          else one.end({ code, details, metadata });
        }, DOUBT_MS);
      },
    );
    one.onward = { gateway, cancel: () => under.cancel() };
    if (one.isPoll && this.refusal !== null) this.expectRefusal(one, one.onward);
  }

  /** It waits here: until the streams lead elsewhere, and no longer than a growing pause. */
  private refused(one: Passing, why: string, pauseMaxMs: number): void {
    if (!this.passing.has(one)) return;
    one.onward = null;
    this.refusal = why;
    this.listener();
    if (this.askAgain !== null) return;
    this.soon(Math.min(ASK_AGAIN_FIRST_MS * 2 ** this.refusals, pauseMaxMs));
    this.refusals++;
  }

  private taken(): void {
    this.refusals = 0;
    this.refusal = null;
    this.listener();
  }

  private expectRefusal(one: Passing, onward: Passing['onward']): void {
    setTimeout(() => {
      if (this.passing.has(one) && one.onward === onward) this.taken();
    }, TAKEN_AFTER_MS).unref();
  }

  /** Null: not at all. */
  private soon(delayMs: number | null): void {
    if (this.askAgain !== null) clearTimeout(this.askAgain);
    this.askAgain = delayMs === null ? null : setTimeout(() => this.passWaiting(), delayMs);
  }

  private passWaiting(): void {
    this.soon(null);
    for (const one of [...this.passing]) if (one.onward === null) this.pass(one);
  }

  /**
   * What was asked of a controller that is not ours any more is not waited for much longer: it may be silent, which nobody
   * else would notice for most of a minute; or about to say something.
   */
  private changed(): void {
    this.refusals = 0;
    this.passWaiting();
    this.listener();
    setTimeout(() => {
      const { gateway } = this.leading;
      if (gateway === null) return;
      for (const one of [...this.passing]) {
        if (one.onward === null || one.onward.gateway === gateway) continue;
        if (!this.leave(one)) one.onward.cancel();
        this.giveUp(one);
      }
    }, MOVE_AFTER_MS).unref();
  }

  /** Temporal counts a task as begun once it has given it to a poll, so none is given up (decision 0173). */
  private leave(one: Passing): boolean {
    if (!one.isPoll || !this.waits || this.left.size >= LEFT_MAX) return false;
    this.left.add(one);
    return true;
  }

  /** To a poll of the Worker that is under way, or the next one. */
  private bring(answer: Uint8Array): void {
    if (!hasTask(answer)) return;
    const next = [...this.passing].find(({ isPoll }) => isPoll);
    if (next !== undefined) {
      if (next.onward !== null && !this.leave(next)) next.onward.cancel();
      return next.end(null, answer);
    }
    this.brought.push(answer);
    setTimeout(() => {
      this.brought = this.brought.filter((each) => each !== answer);
    }, KEPT_MS).unref();
  }

  /** A poll has brought nothing, so the next one is asked at once; whatever else, the Worker says again by itself. */
  private giveUp(one: Passing): void {
    if (one.isPoll && this.waits) one.end(null, new Uint8Array());
    else one.end({ code: UNAVAILABLE, details: 'no controller is there now' });
  }
}

/** PollActivityTaskQueueResponse: its first field is the token of the task. */
function hasTask(answer: Uint8Array): boolean {
  try {
    return fieldsOf(answer).some(({ number, value }) => number === 1 && value.length > 0);
  } catch {
    return false;
  }
}

/** As the kernel lists it. */
const ESTABLISHED = '01';

/**
 * Whether the other end, on this host, is of the user that this process runs as: the kernel says whose each socket is. Of
 * one that was closed it says root, so it has to be open still; and a port of another loopback address (127.0.0.2) is
 * another socket than the one of that number that the Worker has.
 */
async function isOurs({ localPort, remoteAddress, remotePort }: Socket): Promise<boolean> {
  if (remoteAddress !== LOOPBACK) return false;
  const bytes = endianness() === 'LE' ? '0100007F' : '7F000001';
  const end = (port: number | undefined): string =>
    `${bytes}:${(port ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
  const wanted = `${end(remotePort)} ${end(localPort)} `;
  const sockets = await readFile('/proc/self/net/tcp', 'latin1');
  const line = sockets.split('\n').find((each) => each.includes(wanted));
  // sl, local, remote, state, queues, timer, retransmits, user.
  const [, , , state, , , , user] = line?.trim().split(/\s+/) ?? [];
  return state === ESTABLISHED && Number(user) === process.getuid?.();
}
