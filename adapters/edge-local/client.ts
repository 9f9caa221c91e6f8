/** `aether edge …`: talks to the agent of this host. */
import { userInfo } from 'node:os';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import type { FilterAnswer, FilterQuestion } from '../../core/filter/questions';
import type { EdgeStatus } from '../../core/model/messages';
import type { RoutingStatus } from '../../core/model/routing';
import {
  EDGE_LOCAL_SERVICE,
  type AskFilterResponse,
  type OverrideRequest,
  type OverrideResponse,
  type StandRequest,
  type StandResponse,
  type StatusResponse,
} from './proto';

const DEADLINE_MS = 5_000;
/** The filters may be taking a million prefixes in at that moment. */
const OVERRIDE_DEADLINE_MS = 15_000;

export interface Stood extends Omit<StandResponse, 'routingJson'> {
  routing: RoutingStatus;
}

export class EdgeLocalClient implements Disposable {
  private readonly client: Client;

  /** `by`: who asks, for the audit trail. */
  constructor(
    socketPath: string,
    private readonly by = userInfo().username,
  ) {
    this.client = new Client(`unix:${socketPath}`, credentials.createInsecure());
  }

  status(): Promise<EdgeStatus> {
    return this.edge('Status', {});
  }

  /** `forMs` 0: until unfrozen. */
  freeze(forMs: number, reason: string): Promise<EdgeStatus> {
    return this.edge('Freeze', { forMs, reason, by: this.by });
  }

  unfreeze(): Promise<EdgeStatus> {
    return this.edge('Unfreeze', { by: this.by });
  }

  override(asked: Omit<OverrideRequest, 'by'>): Promise<OverrideResponse> {
    return this.call('Override', { ...asked, by: this.by }, OVERRIDE_DEADLINE_MS);
  }

  /** How the services stand after it. */
  async stand(asked: Omit<StandRequest, 'by'>): Promise<Stood> {
    const request = { ...asked, by: this.by };
    const { routingJson, ...answer } = await this.call<StandResponse>('Stand', request);
    return { ...answer, routing: parse(routingJson) };
  }

  async ask<Q extends FilterQuestion>(
    question: Q,
  ): Promise<Extract<FilterAnswer, { kind: Q['kind'] }>> {
    const questionJson = Buffer.from(JSON.stringify(question));
    const { answerJson } = await this.call<AskFilterResponse>('AskFilter', { questionJson });
    return parse(answerJson);
  }

  [Symbol.dispose](): void {
    this.client.close();
  }

  private async edge(name: string, request: object): Promise<EdgeStatus> {
    return parse((await this.call<StatusResponse>(name, request)).statusJson);
  }

  private call<A>(name: string, request: object, deadlineMs = DEADLINE_MS): Promise<A> {
    const method = EDGE_LOCAL_SERVICE[name];
    if (method === undefined) throw new Error(`edge_local.proto has no ${name}`);
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, answer?: A): void => {
        if (error !== null || answer === undefined) reject(error ?? new Error('no answer'));
        else resolve(answer);
      };
      const { path, requestSerialize, responseDeserialize } = method;
      const read = responseDeserialize as (bytes: Buffer) => A;
      const options = { deadline: Date.now() + deadlineMs };
      this.client.makeUnaryRequest(path, requestSerialize, read, request, options, done);
    });
  }
}

const parse = <T>(bytes: Uint8Array): T => JSON.parse(Buffer.from(bytes).toString()) as T;
