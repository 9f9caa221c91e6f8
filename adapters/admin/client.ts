/** The admin API from the caller's side. What it refuses arrives as `ServiceError` of grpc-js. */
import { userInfo } from 'node:os';
import * as grpc from '@grpc/grpc-js';
import type { Identity } from '../ca/identity';
import { type Credentials, dialMtls } from '../grpc/mtls';
import { asIs } from '../grpc/raw';
import type { AnswerOf, FilterQuestion } from '../../core/filter/questions';
import type { NodeName } from '../../core/model/ids';
import type { ClusterIssue } from '../../core/model/issues';
import { type AnyResource, type Kind, userFormOf } from '../../core/model/resources';
import type {
  AnycastServiceDescription,
  AnycastServiceView,
  BlocklistDescription,
  BlocklistView,
  BlockView,
  NodeDescription,
  NodeView,
} from '../../core/model/views';
import {
  ADMIN_SERVICE,
  type AdminVerbs,
  type BlockRequest,
  BY,
  CODECS,
  ISSUES,
  type Resource,
  type RouteOrder,
  type Verb,
} from './proto';

const TIMEOUT_MS = 30_000;
/** A person begins to wonder. */
const SLOW_MS = 2_000;
const ALIVE = '/aether.admin.v1.Admin/Alive';
const { UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED } = grpc.status;
const NO_ANSWER = new Set<number>([UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED]);
const OPTIONS = { 'grpc.max_receive_message_length': 64 << 20 };

/** `host:port` of the admin API over TLS, and who we are there. */
export interface AdminAddress {
  server: string;
  tls: Credentials;
}

const isController = (found: Identity | null): boolean => found?.role === 'controller';

type Response<V extends Verb> = Promise<AdminVerbs[V]['response']>;

export class AdminClient {
  readonly #client: grpc.Client;
  readonly #metadata = new grpc.Metadata();
  /** Called once, when an answer takes long. */
  onSlow: (() => void) | null = null;

  /** `by`: who asks, for the audit trail; over TLS the certificate says it, and this is not listened to. */
  constructor(where: string | AdminAddress, by = userInfo().username) {
    this.#client =
      typeof where === 'string'
        ? new grpc.Client(`unix:${where}`, grpc.credentials.createInsecure(), OPTIONS)
        : dialMtls(where.server, where.tls, isController, OPTIONS);
    this.#metadata.set(BY, by.replace(/[^\x20-\x7e]/g, '?'));
  }

  /**
   * Until it answers: it runs, hears, and takes our certificate. Asked is for what no server has, the cheapest question
   * there is. Rejects with the ServiceError of the attempt.
   */
  alive(withinMs: number): Promise<void> {
    const deadline = Date.now() + withinMs;
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(ALIVE, asIs, asIs, Buffer.alloc(0), { deadline }, (error) =>
        error !== null && NO_ANSWER.has(error.code) ? reject(error) : resolve(),
      );
    });
  }

  plan(resources: readonly AnyResource[]): Response<'plan'> {
    const request = { resources: wire(resources), expectedRevisions: null, force: false };
    return this.#call('plan', request);
  }

  /** `expectedRevisions` as planned, in the order of `resources`; null: planned and applied in one. */
  apply(
    resources: readonly AnyResource[],
    expectedRevisions: number[] | null,
    force = false,
  ): Response<'apply'> {
    return this.#call('apply', { resources: wire(resources), expectedRevisions, force });
  }

  /** All nodes where no name is given. */
  get(name: NodeName | null = null): Promise<NodeView[]> {
    return this.#call('get', { kind: 'Node', name }) as Promise<NodeView[]>;
  }

  /** All blocklists where no name is given. */
  getBlocklists(name: string | null = null): Promise<BlocklistView[]> {
    return this.#call('get', { kind: 'Blocklist', name }) as Promise<BlocklistView[]>;
  }

  /** All services where no name is given. */
  getServices(name: string | null = null): Promise<AnycastServiceView[]> {
    return this.#call('get', { kind: 'AnycastService', name }) as Promise<AnycastServiceView[]>;
  }

  /** What is blocked by hand. */
  getBlocks(prefix: string | null = null): Promise<BlockView[]> {
    return this.#call('get', { kind: 'Block', name: prefix }) as Promise<BlockView[]>;
  }

  describe(name: NodeName): Promise<NodeDescription> {
    return this.#call('describe', { kind: 'Node', name }) as Promise<NodeDescription>;
  }

  describeBlocklist(name: string): Promise<BlocklistDescription> {
    return this.#call('describe', { kind: 'Blocklist', name }) as Promise<BlocklistDescription>;
  }

  describeService(name: string): Promise<AnycastServiceDescription> {
    const found = this.#call('describe', { kind: 'AnycastService', name });
    return found as Promise<AnycastServiceDescription>;
  }

  explain(node: NodeName): Response<'explain'> {
    return this.#call('explain', { node });
  }

  delete(name: NodeName, force: boolean, kind: Kind = 'Node'): Response<'delete'> {
    return this.#call('delete', { kind, name, force });
  }

  block(request: BlockRequest): Response<'block'> {
    return this.#call('block', request);
  }

  /** Waits until the feed is loaded, as long as a call may last. */
  refreshBlocklist(name: string): Response<'refreshBlocklist'> {
    return this.#call('refreshBlocklist', { name });
  }

  /** The answer is of the kind of its question. */
  askFilter<Q extends FilterQuestion>(node: NodeName, question: Q): Promise<AnswerOf<Q['kind']>> {
    return this.#call('askFilter', { node, question }) as Promise<AnswerOf<Q['kind']>>;
  }

  route(order: RouteOrder): Response<'route'> {
    return this.#call('route', order);
  }

  routeProgress(workflowId: string): Response<'routeProgress'> {
    return this.#call('routeProgress', { workflowId });
  }

  /** All nodes where no name is given. */
  routing(node: NodeName | null = null): Response<'routing'> {
    return this.#call('routing', { node });
  }

  members(): Response<'members'> {
    return this.#call('members', {});
  }

  ring(): Response<'ring'> {
    return this.#call('ring', {});
  }

  drainController(controller: string, draining: boolean): Response<'drainController'> {
    return this.#call('drainController', { controller, draining });
  }

  audit(): Response<'audit'> {
    return this.#call('audit', {});
  }

  /** `node` null: all nodes. */
  freeze(node: NodeName | null, frozen: boolean, reason: string): Response<'freeze'> {
    return this.#call('freeze', { node, frozen, reason });
  }

  approve(node: NodeName, planHash: string): Response<'approve'> {
    return this.#call('approve', { node, planHash });
  }

  status(): Response<'status'> {
    return this.#call('status', {});
  }

  close(): void {
    this.#client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #call<V extends Verb>(verb: V, request: AdminVerbs[V]['request']): Response<V> {
    const method = ADMIN_SERVICE[`${verb.charAt(0).toUpperCase()}${verb.slice(1)}`];
    if (!method) throw new TypeError(`the admin API has no ${verb}`);
    const { request: input, response: output } = CODECS[verb];
    const slow = setTimeout(() => this.#slow(), SLOW_MS);
    return new Promise<AdminVerbs[V]['response']>((resolve, reject) => {
      this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        input.toWire(request),
        this.#metadata,
        { deadline: Date.now() + TIMEOUT_MS },
        (error, answer) => (error ? reject(error) : resolve(output.fromWire(answer as never))),
      );
    }).finally(() => clearTimeout(slow));
  }

  #slow(): void {
    this.onSlow?.();
    this.onSlow = null;
  }
}

const wire = (resources: readonly AnyResource[]): Resource[] =>
  resources.map((resource) => ({ kind: resource.kind, json: userFormOf(resource) }));

/** What was wrong with the resources, where a call was refused as INVALID_ARGUMENT. */
export function issuesOf(error: unknown): ClusterIssue[] {
  const { metadata } = error as Partial<grpc.ServiceError>;
  const text = metadata?.get(ISSUES)[0];
  return typeof text === 'string' ? (JSON.parse(text) as ClusterIssue[]) : [];
}
