/**
 * Tells the other controllers what is known here of edges. What changes is only marked, for each listener; it is
 * told as fast as the listener takes it, and then as it is: nothing queues up but names.
 */
import * as grpc from '@grpc/grpc-js';
import type { NodeName } from '../../core/model/ids';
import type { Identity } from '../ca/identity';
import { callerOf, nameOf, type Served } from '../grpc/mtls';
import {
  type AskRequest,
  type AskResponse,
  type FactsEvent,
  HEARTBEAT_MS,
  NoStream,
  PEER_SERVICE,
  type Question,
} from './proto';

export interface PeerServerOptions {
  controller: string;
  boot: string;
  /** Of whom anything is known here. */
  nodes: () => NodeName[];
  /** JSON of ToldFacts, as of now; null: nothing is known any more. */
  facts: (node: NodeName) => Uint8Array | null;
  /** JSON of our CertificateViews, as of now. */
  certificates: () => string;
  /** The edge's answer. Throws NoStream where its stream is not here, else whatever the edge refuses with. */
  ask: (node: NodeName, question: Question) => Promise<Uint8Array>;
}

/** A storm of changes is told in so many parts a second at most. */
const TELL_EVERY_MS = 20;
const NODES_AT_ONCE = 64;

type Call = grpc.ServerWritableStream<unknown, FactsEvent>;

class Listener {
  readonly #dirty = new Set<NodeName>();
  #synced = false;
  #blocked = false;
  #timer: NodeJS.Timeout | null = null;
  #toldAtMs = -Infinity;
  #certificates = '';

  constructor(
    private readonly call: Call,
    private readonly options: PeerServerOptions,
  ) {
    for (const node of options.nodes()) this.#dirty.add(node);
    call.on('drain', () => {
      this.#blocked = false;
      this.tell();
    });
  }

  mark(node: NodeName): void {
    this.#dirty.add(node);
    if (this.#timer !== null || this.#blocked) return;
    const restMs = this.#toldAtMs + TELL_EVERY_MS - performance.now();
    this.#timer = setTimeout(() => this.tell(), Math.max(0, restMs));
  }

  tell(): void {
    clearTimeout(this.#timer ?? undefined);
    this.#timer = null;
    this.#toldAtMs = performance.now();
    while (this.#dirty.size > 0 && !this.#blocked) {
      const some = [...this.#dirty].slice(0, NODES_AT_ONCE);
      for (const node of some) this.#dirty.delete(node);
      const nodes = some.flatMap((node) => {
        const factsJson = this.options.facts(node);
        return factsJson === null ? [] : [{ node, factsJson }];
      });
      if (nodes.length > 0) this.write({ event: 'facts', facts: { nodes } });
    }
    if (this.#dirty.size > 0 || this.#synced) return;
    this.#synced = true;
    this.write({ event: 'synced', synced: {} });
  }

  beat(certificates: string): void {
    if (this.#blocked) return;
    if (certificates === this.#certificates) {
      this.write({ event: 'heartbeat', heartbeat: {} });
    } else {
      this.#certificates = certificates;
      this.write({ event: 'certificates', certificates: { json: Buffer.from(certificates) } });
    }
  }

  write(event: FactsEvent): void {
    this.#blocked = !this.call.write(event);
  }

  end(code: grpc.status, details: string): void {
    clearTimeout(this.#timer ?? undefined);
    this.call.emit('error', { code, details, message: details });
  }

  stop(): void {
    clearTimeout(this.#timer ?? undefined);
  }
}

export class PeerServer {
  /** By controller: one that comes anew takes the place of its former stream. */
  readonly #listeners = new Map<string, Listener>();
  readonly #options: PeerServerOptions;
  readonly #beat: NodeJS.Timeout;

  constructor(options: PeerServerOptions) {
    this.#options = options;
    this.#beat = setInterval(() => {
      const certificates = options.certificates();
      for (const listener of this.#listeners.values()) listener.beat(certificates);
    }, HEARTBEAT_MS).unref();
  }

  /** For a server that asks for certificates. */
  served(): Served {
    return {
      service: PEER_SERVICE,
      implementation: {
        facts: (call: Call) => this.#listen(call),
        ask: (call: grpc.ServerUnaryCall<AskRequest, AskResponse>, done: Done) =>
          void this.#ask(call, done),
      },
      admits: refusalOf,
    };
  }

  /** Something is known anew of this node. */
  changed(node: NodeName): void {
    for (const listener of this.#listeners.values()) listener.mark(node);
  }

  close(): void {
    clearInterval(this.#beat);
    for (const listener of this.#listeners.values()) {
      listener.end(grpc.status.UNAVAILABLE, 'the controller stops');
    }
    this.#listeners.clear();
  }

  #listen(call: Call): void {
    const { id = '' } = callerOf(call) ?? {};
    const { controller, boot } = this.#options;
    const listener = new Listener(call, this.#options);
    this.#listeners.get(id)?.end(grpc.status.ABORTED, `${id} has come anew`);
    this.#listeners.set(id, listener);
    const ended = (): void => {
      listener.stop();
      if (this.#listeners.get(id) === listener) this.#listeners.delete(id);
    };
    call.on('cancelled', ended).on('close', ended).on('error', ended);
    listener.write({ event: 'hello', hello: { controller, boot } });
    listener.tell();
  }

  async #ask(call: grpc.ServerUnaryCall<AskRequest, AskResponse>, done: Done): Promise<void> {
    try {
      done(null, { answerJson: await this.#options.ask(call.request.node, call.request) });
    } catch (error) {
      const { NOT_FOUND, FAILED_PRECONDITION } = grpc.status;
      const code = error instanceof NoStream ? NOT_FOUND : FAILED_PRECONDITION;
      done({ code, details: (error as Error).message });
    }
  }
}

type Done = grpc.sendUnaryData<AskResponse>;

const refusalOf = (caller: Identity | null): string | null =>
  caller?.role === 'controller'
    ? null
    : `this is for controllers alone; the certificate is that of ${nameOf(caller)}`;
