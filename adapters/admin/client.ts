/** The admin API from the caller's side. What it refuses arrives as `ServiceError` of grpc-js. */
import { userInfo } from 'node:os';
import * as grpc from '@grpc/grpc-js';
import type { NodeName } from '../../core/model/ids';
import type { ClusterIssue } from '../../core/model/issues';
import type { NodeResource } from '../../core/model/node';
import { userForm } from '../../core/model/schema';
import {
  ADMIN_SERVICE,
  type AdminVerbs,
  BY,
  CODECS,
  ISSUES,
  type Resource,
  type Verb,
} from './proto';

const TIMEOUT_MS = 30_000;

type Response<V extends Verb> = Promise<AdminVerbs[V]['response']>;

export class AdminClient {
  readonly #client: grpc.Client;
  readonly #metadata = new grpc.Metadata();

  /** `by`: who asks, for the audit trail. */
  constructor(socket: string, by = userInfo().username) {
    this.#client = new grpc.Client(`unix:${socket}`, grpc.credentials.createInsecure(), {
      'grpc.max_receive_message_length': 64 << 20,
    });
    this.#metadata.set(BY, by.replace(/[^\x20-\x7e]/g, '?'));
  }

  plan(resources: readonly NodeResource[]): Response<'plan'> {
    return this.#call('plan', { resources: wire(resources), expectedRevisions: null });
  }

  /** `expectedRevisions` as planned, in the order of `resources`; null: planned and applied in one. */
  apply(resources: readonly NodeResource[], expectedRevisions: number[] | null): Response<'apply'> {
    return this.#call('apply', { resources: wire(resources), expectedRevisions });
  }

  /** All nodes where no name is given. */
  get(name: NodeName | null = null): Response<'get'> {
    return this.#call('get', { kind: 'Node', name });
  }

  describe(node: NodeName): Response<'describe'> {
    return this.#call('describe', { node });
  }

  explain(node: NodeName): Response<'explain'> {
    return this.#call('explain', { node });
  }

  delete(name: NodeName, force: boolean): Response<'delete'> {
    return this.#call('delete', { kind: 'Node', name, force });
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
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        input.toWire(request),
        this.#metadata,
        { deadline: Date.now() + TIMEOUT_MS },
        (error, answer) => (error ? reject(error) : resolve(output.fromWire(answer as never))),
      );
    });
  }
}

const wire = (resources: readonly NodeResource[]): Resource[] =>
  resources.map((resource) => ({ kind: resource.kind, json: userForm(resource) }));

/** What was wrong with the resources, where a call was refused as INVALID_ARGUMENT. */
export function issuesOf(error: unknown): ClusterIssue[] {
  const { metadata } = error as Partial<grpc.ServiceError>;
  const text = metadata?.get(ISSUES)[0];
  return typeof text === 'string' ? (JSON.parse(text) as ClusterIssue[]) : [];
}
