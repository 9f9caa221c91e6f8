/** The admin API from the caller's side. What it refuses arrives as `ServiceError` of grpc-js. */
import * as grpc from '@grpc/grpc-js';
import type { ClusterIssue } from '../../core/model/issues';
import { ADMIN_SERVICE, type AdminVerbs, BY, CODECS, ISSUES, type Verb } from './api';

export class AdminClient {
  readonly #client: grpc.Client;
  readonly #metadata = new grpc.Metadata();

  /** `by`: who asks, for the audit trail. */
  constructor(socket: string, by: string) {
    this.#client = new grpc.Client(`unix:${socket}`, grpc.credentials.createInsecure(), {
      'grpc.max_receive_message_length': 64 << 20,
    });
    this.#metadata.set(BY, by.replace(/[^\x20-\x7e]/g, '?'));
  }

  call<V extends Verb>(
    verb: V,
    request: AdminVerbs[V]['request'],
    timeoutMs = 30_000,
  ): Promise<AdminVerbs[V]['response']> {
    const method = ADMIN_SERVICE[verb[0]?.toUpperCase() + verb.slice(1)];
    if (!method) throw new TypeError(`the admin API has no ${verb}`);
    const { request: input, response: output } = CODECS[verb];
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        input.toWire(request),
        this.#metadata,
        { deadline: Date.now() + timeoutMs },
        (error, wire) => (error ? reject(error) : resolve(output.fromWire(wire as never))),
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}

/** What was wrong with the resources, where a call was refused as INVALID_ARGUMENT. */
export function issuesOf(error: unknown): ClusterIssue[] {
  const { metadata } = error as Partial<grpc.ServiceError>;
  const text = metadata?.get(ISSUES)[0];
  if (typeof text !== 'string') return [];
  return JSON.parse(text) as ClusterIssue[];
}
