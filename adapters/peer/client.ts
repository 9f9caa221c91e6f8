/** The way to one other controller: hears what it knows of edges, for ever, and puts questions to its edges. */
import * as grpc from '@grpc/grpc-js';
import type { NodeName } from '../../core/model/ids';
import type { Identity } from '../ca/identity';
import { type Credentials, dialMtls } from '../grpc/mtls';
import { plainWords } from '../grpc/service';
import {
  type AskResponse,
  type FactsEvent,
  type NodeFacts,
  NoStream,
  PEER_SERVICE,
  type Question,
  SILENCE_MS,
} from './proto';

export interface PeerLinkOptions {
  /** Id of the controller that shall be there: its certificate has to say so. */
  controller: string;
  /** `host:port` */
  address: string;
  tls: Credentials;
}

export interface PeerLinkHandler {
  /** It begins to tell everything it knows; what it told before may be over. */
  begins(boot: string): void;
  facts(facts: readonly NodeFacts[]): void;
  /** JSON of its CertificateViews. */
  certificates?(json: Uint8Array): void;
  /** It has told everything. */
  synced(): void;
  /** It is not heard any more; it is dialled again. */
  lost(why: string): void;
}

/** It is not in reach, so nobody answered. */
export class PeerAway extends Error {
  override readonly name = 'PeerAway';
}

const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 2_000;

export class PeerLink {
  readonly #options: PeerLinkOptions;
  readonly #handler: PeerLinkHandler;
  readonly #client: grpc.Client;
  #call: grpc.ClientReadableStream<FactsEvent> | null = null;
  /** Streams in a row that were not heard for long. */
  #failures = 0;
  #syncedAtMs: number | null = null;
  #closed = false;
  #wake: () => void = () => undefined;

  constructor(options: PeerLinkOptions, handler: PeerLinkHandler) {
    const { address, controller, tls } = options;
    this.#options = options;
    this.#handler = handler;
    const isThis = (found: Identity | null): boolean =>
      found?.role === 'controller' && found.id === controller;
    this.#client = dialMtls(address, tls, isThis, {
      'grpc.initial_reconnect_backoff_ms': FIRST_RETRY_MS,
      'grpc.max_reconnect_backoff_ms': MAX_RETRY_MS,
      'grpc.max_receive_message_length': 64 << 20,
    });
  }

  /** Returns at once; dials until `close`. */
  start(): void {
    void this.#hearForEver();
  }

  /** @throws {PeerAway} nobody answered @throws {NoStream} it has not the edge's stream; else the edge's refusal */
  ask(node: NodeName, question: Question, timeoutMs: number): Promise<Uint8Array> {
    const { path, requestSerialize, responseDeserialize } = method('Ask');
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest<object, AskResponse>(
        path,
        requestSerialize,
        responseDeserialize as (bytes: Buffer) => AskResponse,
        { node, ...question },
        new grpc.Metadata(),
        { deadline: Date.now() + timeoutMs },
        (error, answer) => {
          if (answer !== undefined && !error) resolve(answer.answerJson);
          else reject(this.#asError(error));
        },
      );
    });
  }

  close(): void {
    this.#closed = true;
    this.#call?.cancel();
    this.#wake();
    this.#client.close();
  }

  #asError(error: grpc.ServiceError | null): Error {
    const details = plainWords(error?.details ?? 'no answer');
    if (error?.code === grpc.status.FAILED_PRECONDITION) return new Error(details);
    if (error?.code === grpc.status.NOT_FOUND) return new NoStream(details);
    return new PeerAway(`controller ${this.#options.controller} does not answer: ${details}`);
  }

  async #hearForEver(): Promise<void> {
    while (!this.#closed) {
      const why = await this.#hear().catch((error: unknown) => (error as Error).message);
      this.#call = null;
      if (this.#closed) return;
      this.#handler.lost(why);
      // Two controllers of one name end each other's streams: that must not become a storm.
      const heardMs = this.#syncedAtMs === null ? 0 : performance.now() - this.#syncedAtMs;
      if (heardMs > MAX_RETRY_MS) this.#failures = 0;
      this.#syncedAtMs = null;
      const ceilingMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures++);
      await this.#pause(ceilingMs * (0.5 + Math.random() / 2));
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, delayMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** One stream, from dial to end; resolves to why it ended. */
  #hear(): Promise<string> {
    const { path, requestSerialize, responseDeserialize } = method('Facts');
    const call = this.#client.makeServerStreamRequest<object, FactsEvent>(
      path,
      requestSerialize,
      responseDeserialize as (bytes: Buffer) => FactsEvent,
      {},
    );
    this.#call = call;
    let silence: NodeJS.Timeout | undefined;
    let events = 0;
    const heard = (): void => {
      const upTo = ++events;
      const giveUp = (): void => {
        if (events === upTo) call.cancel();
      };
      clearTimeout(silence);
      // After a pause of this process timers come first: what was said meanwhile is to be read before.
      silence = setTimeout(() => setImmediate(giveUp), SILENCE_MS);
    };
    heard();
    return new Promise<string>((resolve) => {
      call.on('data', (event: FactsEvent) => {
        heard();
        this.#take(event);
      });
      call.on('error', (error: grpc.ServiceError) =>
        resolve(plainWords(error.details || error.message)),
      );
      call.on('end', () => resolve('it ended the stream'));
    }).finally(() => clearTimeout(silence));
  }

  #take(event: FactsEvent): void {
    switch (event.event) {
      case 'hello':
        return this.#handler.begins(event.hello.boot);
      case 'facts':
        return this.#handler.facts(event.facts.nodes);
      case 'certificates':
        return this.#handler.certificates?.(event.certificates.json);
      case 'synced':
        this.#syncedAtMs = performance.now();
        return this.#handler.synced();
      default:
      // A heartbeat, or what only a newer controller says.
    }
  }
}

function method(name: 'Facts' | 'Ask'): grpc.MethodDefinition<object, object> {
  const found: grpc.MethodDefinition<object, object> | undefined = PEER_SERVICE[name];
  if (!found) throw new TypeError(`peer.proto has no ${name}`);
  return found;
}
