/**
 * The edge's end of the edge stream: dials one controller after another for ever, says hello, and
 * hands over what comes down. It decides nothing: fences are judged by `core/edge`.
 */
import { readFile } from 'node:fs/promises';
import * as grpc from '@grpc/grpc-js';
import type { OwnerFence } from '../../core/model/edge-spec';
import { safe } from '../grpc/service';
import { retryDelayMs } from './backoff';
import {
  CONTROLLER_SERVER_NAME,
  type Down,
  EDGE_STREAM_SERVICE,
  HEARTBEAT_MS,
  type Hello,
  type Up,
} from './proto';

export interface EdgeStreamClientOptions {
  /** `host:port` each; tried in turn. */
  controllers: readonly string[];
  /** Paths of PEM files, read at each attempt: a renewed certificate needs no restart. */
  tls: { ca: string; cert: string; key: string };
}

export interface EdgeStreamClientHandler {
  hello(): Hello;
  connected(controller: string): void;
  message(fence: OwnerFence, message: Exclude<Down, { message: 'welcome' | 'heartbeat' }>): void;
  disconnected(why: string): void;
}

const CONNECT_TIMEOUT_MS = 5_000;
const SILENCE_MS = 3 * HEARTBEAT_MS;
/** A spec with thousands of links has its place. */
const MAX_MESSAGE_BYTES = 16 << 20;

const CHANNEL_OPTIONS: grpc.ChannelOptions = {
  'grpc.ssl_target_name_override': CONTROLLER_SERVER_NAME,
  'grpc.default_authority': CONTROLLER_SERVER_NAME,
  // Waiting between attempts is our business: a shared subchannel would back off up to 2 minutes.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
};

type Call = grpc.ClientDuplexStream<Up, Down>;

export class EdgeStreamClient {
  #call: Call | null = null;
  #welcomed = false;
  #failures = 0;
  #turn = 0;
  #closed = false;
  #wake: () => void = () => undefined;

  constructor(
    private readonly options: EdgeStreamClientOptions,
    private readonly handler: EdgeStreamClientHandler,
    private readonly random: () => number = Math.random,
  ) {}

  /** Returns at once; dials until `close`. */
  start(): void {
    void this.#dialForEver();
  }

  /** False where there is no stream now: the machine says it again once there is. */
  send(message: Up): boolean {
    if (this.#call === null || !this.#welcomed) return false;
    this.#call.write(message);
    return true;
  }

  close(): void {
    this.#closed = true;
    this.#call?.cancel();
    this.#wake();
  }

  async #dialForEver(): Promise<void> {
    while (!this.#closed) {
      const controllers = this.options.controllers;
      const address = controllers[this.#turn++ % controllers.length] ?? '';
      let why: string;
      try {
        why = await this.#runOnce(address);
      } catch (error) {
        why = (error as Error).message;
      }
      this.#call = null;
      if (this.#welcomed) this.#failures = 0;
      this.#welcomed = false;
      this.handler.disconnected(`${address}: ${why}`);
      await this.#pause(retryDelayMs(this.#failures++, this.random));
    }
  }

  #pause(delayMs: number): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, delayMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** One stream from dial to end; resolves to why it ended. */
  async #runOnce(address: string): Promise<string> {
    const { tls } = this.options;
    const [ca, cert, key] = await Promise.all([
      readFile(tls.ca),
      readFile(tls.cert),
      readFile(tls.key),
    ]);
    const credentials = grpc.credentials.createSsl(ca, key, cert);
    const client = new grpc.Client(address, credentials, CHANNEL_OPTIONS);
    try {
      await ready(client);
      return await this.#stream(client, address);
    } finally {
      client.close();
    }
  }

  #stream(client: grpc.Client, address: string): Promise<string> {
    const method = EDGE_STREAM_SERVICE['Connect'];
    if (method === undefined) throw new Error('edge_stream.proto has no Connect');
    const call: Call = client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize as (message: Up) => Buffer,
      method.responseDeserialize as (bytes: Buffer) => Down,
    );
    this.#call = call;
    call.write({ message: 'hello', hello: this.handler.hello() });
    let heardAtMs = Date.now();
    const beat = setInterval(() => {
      const nowMs = Date.now();
      if (nowMs - heardAtMs > SILENCE_MS) call.cancel();
      else this.send({ message: 'heartbeat', heartbeat: { atMs: nowMs } });
    }, HEARTBEAT_MS);
    return new Promise((resolve) => {
      call.on('data', (down: Down) => {
        heardAtMs = Date.now();
        try {
          this.#take(down, address);
        } catch (error) {
          call.cancel();
          resolve(`bad message: ${(error as Error).message}`);
        }
      });
      call.on('error', (error: Error) => resolve(error.message));
      call.on('end', () => resolve('the controller ended the stream'));
      if (this.#closed) call.cancel();
    }).finally(() => clearInterval(beat)) as Promise<string>;
  }

  #take(down: Down, address: string): void {
    switch (down.message) {
      case 'welcome':
        this.#welcomed = true;
        return this.handler.connected(`${down.welcome.controller} (${address})`);
      case 'heartbeat':
        return;
      case 'spec':
        safe(down.spec.revision);
        break;
      case 'recordAck':
        safe(down.recordAck.atMs);
        break;
      case 'routingAck':
        safe(down.routingAck.sequence);
        break;
      case 'driftAck':
      case 'statusRequest':
      case 'chunk':
      case 'filterRequest':
        break;
      default:
        // A kind of message that only a newer controller knows.
        return;
    }
    // Without a fence it speaks as nobody's owner.
    if (down.fence === null) return;
    safe(down.fence.clusterIncarnation);
    safe(down.fence.ownerRevision);
    this.handler.message(down.fence, down);
  }
}

const ready = (client: grpc.Client): Promise<void> =>
  new Promise((resolve, reject) => {
    client.waitForReady(Date.now() + CONNECT_TIMEOUT_MS, (error) =>
      error ? reject(error) : resolve(),
    );
  });
