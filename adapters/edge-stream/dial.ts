/** One stream of an edge to a controller, from its dial to its end. It decides nothing. */
import { readFile } from 'node:fs/promises';
import * as grpc from '@grpc/grpc-js';
import type { StreamEnd } from '../../core/edge/streams-types';
import { safe } from '../grpc/service';
import { asIs, type Done } from '../grpc/raw';
import type { Pem } from '../grpc/tls';
import {
  CONTROLLER_SERVER_NAME,
  type Down,
  type DownMessages,
  EDGE_STREAM_SERVICE,
  HEARTBEAT_MS,
  type Hello,
  RETRY_AFTER_KEY,
  type Up,
} from './proto';

/** Paths of PEM files, read at each dial: a renewed certificate needs no restart. */
export interface TlsPaths {
  ca: string;
  cert: string;
  key: string;
}

export interface DialHandler {
  hello(): Hello;
  /** What comes first, once. */
  welcomed(welcome: DownMessages['welcome'], down: Down): void;
  message(down: Exclude<Down, { message: 'welcome' }>): void;
  /** A heartbeat is overdue, or something came after all. */
  silent(isSilent: boolean): void;
  /** What `send` refused may be said now. */
  drained(): void;
  /** Once, unless it was closed by us. */
  ended(end: StreamEnd): void;
}

/** What else goes over the connection of a stream: unary calls, bytes in and bytes out. */
export interface Calls {
  /** `path`: `/service/Method`. Once the stream has ended, calls that are under way may still end well. */
  call(path: string, request: Uint8Array, deadline: grpc.Deadline, done: Done): { cancel(): void };
}

export interface DialOptions {
  tls: TlsPaths;
  /** Of heartbeats; a stream that is silent for three of them is given up. */
  heartbeatMs?: number;
}

/** From the dial on. */
const WELCOME_TIMEOUT_MS = 15_000;
/** A spec with thousands of links has its place. */
const MAX_MESSAGE_BYTES = 16 << 20;

const CHANNEL_OPTIONS: grpc.ChannelOptions = {
  'grpc.ssl_target_name_override': CONTROLLER_SERVER_NAME,
  'grpc.default_authority': CONTROLLER_SERVER_NAME,
  // Waiting between attempts is our business: a shared subchannel would back off up to 2 minutes.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
};

/** In beats: a heartbeat that has not come by then is overdue. */
const OVERDUE = 1.2;
const LOOKS_A_BEAT = 10;

/** As Node's errors say it. */
const NOBODY_LISTENS = /ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN/;

type Call = grpc.ClientDuplexStream<Up, Down>;

export class DialedStream implements Calls {
  #call: Call | null = null;
  #client: grpc.Client | null = null;
  /** For calls, once there is a newer certificate than the stream's. */
  #renewed: grpc.Client | null = null;
  /** What calls show. */
  #cert: Buffer = Buffer.alloc(0);
  #beat: NodeJS.Timeout | null = null;
  #patience: NodeJS.Timeout | null = null;
  #welcomed = false;
  #blocked = false;
  #silent = false;
  #ended = false;
  #heardAtMs = performance.now();

  constructor(
    readonly address: string,
    private readonly options: DialOptions,
    private readonly handler: DialHandler,
  ) {
    // Certificates that can't be read cost nobody anything.
    void this.#run().catch(({ message }: Error) => this.#end(message, { isRefused: true }));
  }

  /** False where it was not sent: not welcomed yet, over, or the transport is full, and `drained` comes. */
  send(message: Up): boolean {
    if (this.#call === null || !this.#welcomed || this.#ended || this.#blocked) return false;
    this.#blocked = !this.#call.write(message);
    return true;
  }

  call(path: string, request: Uint8Array, deadline: grpc.Deadline, done: Done): { cancel(): void } {
    const client = this.#renewed ?? this.#client;
    if (client === null || this.#ended) return refused(done);
    return client.makeUnaryRequest(path, asIs, asIs, request, { deadline }, done);
  }

  /**
   * Calls show the certificate that lies on the disk now, over a connection of its own; the stream goes on with what it
   * was opened with. Resolves when `path`, without a request, was answered there; rejects where it was not.
   */
  async renew(path: string): Promise<void> {
    const pem = await this.#read();
    if (this.#ended || this.#client === null || pem.cert.equals(this.#cert)) return;
    const client = clientOf(this.address, pem);
    try {
      await answered(client, path);
    } catch (error) {
      client.close();
      throw error;
    }
    if (this.#ended) return client.close();
    this.#renewed?.close();
    this.#renewed = client;
    this.#cert = pem.cert;
  }

  /** Nothing is told of it any more. */
  close(): void {
    this.#ended = true;
    this.#release();
  }

  async #run(): Promise<void> {
    const pem = await this.#read();
    if (this.#ended) return;
    const client = clientOf(this.address, pem);
    this.#client = client;
    this.#cert = pem.cert;
    this.#open(client);
  }

  async #read(): Promise<Pem> {
    const { tls } = this.options;
    const [ca, cert, key] = await Promise.all(
      [tls.ca, tls.cert, tls.key].map((path) => readFile(path)),
    );
    return { ca, cert, key } as Pem;
  }

  #open(client: grpc.Client): void {
    const method = EDGE_STREAM_SERVICE['Connect'];
    if (method === undefined) throw new Error('edge_stream.proto has no Connect');
    const call: Call = client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize as (message: Up) => Buffer,
      method.responseDeserialize as (bytes: Buffer) => Down,
    );
    this.#call = call;
    call.on('data', (down: Down) => {
      if (this.#ended) return;
      this.#heardAtMs = performance.now();
      try {
        this.#setSilent(false);
        this.#take(down);
      } catch (error) {
        this.#end(`bad message: ${(error as Error).message}`);
      }
    });
    call.on('drain', () => {
      this.#blocked = false;
      if (!this.#ended && this.#welcomed) this.handler.drained();
    });
    call.on('error', (error: grpc.ServiceError) =>
      this.#end(error.message, {
        retryAfterMs: retryAfterMs(error),
        isRefused: NOBODY_LISTENS.test(error.message),
      }),
    );
    call.on('end', () => {
      // A refusal comes as an error right after.
      setImmediate(() => this.#end('the controller ended the stream'));
    });
    // It waits for the connection, and fails with what becomes of it.
    call.write({ message: 'hello', hello: this.handler.hello() });
    this.#patience = setTimeout(
      () => this.#end(`no welcome within ${WELCOME_TIMEOUT_MS} ms`),
      WELCOME_TIMEOUT_MS,
    );
  }

  #keep(): void {
    const everyMs = this.options.heartbeatMs ?? HEARTBEAT_MS;
    let looks = 0;
    const look = (): void => {
      if (this.#ended) return;
      const silentMs = performance.now() - this.#heardAtMs;
      if (silentMs > 3 * everyMs) return this.#end(`silent for ${3 * everyMs} ms`);
      if (silentMs > OVERDUE * everyMs) this.#setSilent(true);
      looks = (looks + 1) % LOOKS_A_BEAT;
      if (looks !== 0) return;
      this.send({ message: 'heartbeat', heartbeat: { atMs: Date.now() } });
    };
    // After a pause of this process timers come first: what was said meanwhile is to be read before.
    this.#beat = setInterval(() => setImmediate(look), everyMs / LOOKS_A_BEAT);
  }

  #setSilent(isSilent: boolean): void {
    if (this.#silent === isSilent) return;
    this.#silent = isSilent;
    this.handler.silent(isSilent);
  }

  #take(down: Down): void {
    const { fence } = down;
    if (fence !== null) {
      safe(fence.clusterIncarnation);
      safe(fence.ownerRevision);
    }
    switch (down.message) {
      case 'welcome':
        if (this.#welcomed) throw new RangeError('welcome was said already');
        this.#welcomed = true;
        if (this.#patience !== null) clearTimeout(this.#patience);
        this.#keep();
        return this.handler.welcomed(down.welcome, down);
      case 'spec':
        safe(down.spec.revision);
        break;
      case 'recordAck':
        safe(down.recordAck.atMs);
        break;
      case 'routingAck':
        safe(down.routingAck.sequence);
        break;
      default:
        // A kind of message that only a newer controller knows.
        if ((down.message as unknown) === undefined) return;
    }
    if (!this.#welcomed) throw new RangeError('the first message is not welcome');
    this.handler.message(down);
  }

  #end(why: string, more: Partial<StreamEnd> = {}): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#release();
    this.handler.ended({ why, retryAfterMs: null, isRefused: false, ...more });
  }

  #release(): void {
    if (this.#beat !== null) clearInterval(this.#beat);
    if (this.#patience !== null) clearTimeout(this.#patience);
    // An error of a call that is cancelled is nobody's any more.
    this.#call?.removeAllListeners('error').on('error', () => undefined);
    this.#call?.cancel();
    this.#client?.close();
    this.#renewed?.close();
  }
}

function clientOf(address: string, { ca, cert, key }: Pem): grpc.Client {
  return new grpc.Client(address, grpc.credentials.createSsl(ca, key, cert), CHANNEL_OPTIONS);
}

const ANSWER_TIMEOUT_MS = 10_000;

function answered(client: grpc.Client, path: string): Promise<void> {
  const deadline = Date.now() + ANSWER_TIMEOUT_MS;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, asIs, asIs, Buffer.alloc(0), { deadline }, (error) =>
      error ? reject(error) : resolve(),
    );
  });
}

/** Answered later, as any call is. */
function refused(done: Done): { cancel(): void } {
  const [code, details] = [grpc.status.UNAVAILABLE, 'the stream has ended'];
  const error = Object.assign(new Error(details), { code, details, metadata: new grpc.Metadata() });
  const timer = setImmediate(() => done(error));
  return { cancel: () => clearImmediate(timer) };
}

/** The wait a refusing controller asks for, bounded: it may be a hostile one's. */
const RETRY_AFTER_MAX_MS = 60_000;

function retryAfterMs(error: grpc.ServiceError): number | null {
  const [said] = error.metadata?.get(RETRY_AFTER_KEY) ?? [];
  const ms = Number(said);
  return said !== undefined && ms >= 0 ? Math.min(ms, RETRY_AFTER_MAX_MS) : null;
}
