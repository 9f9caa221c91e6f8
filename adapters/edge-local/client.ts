/** `aether edge …`: talks to the agent of this host. */
import { Client, credentials, type ClientUnaryCall, type ServiceError } from '@grpc/grpc-js';
import type { EdgeStatus } from '../../core/model/messages';
import { EDGE_LOCAL_SERVICE, type StatusResponse } from './proto';

const DEADLINE_MS = 5_000;

export class EdgeLocalClient implements Disposable {
  private readonly client: Client;

  constructor(socketPath: string) {
    this.client = new Client(`unix:${socketPath}`, credentials.createInsecure());
  }

  status(): Promise<EdgeStatus> {
    return this.call('Status', {});
  }

  /** `forMs` 0: until unfrozen. */
  freeze(forMs: number, reason: string): Promise<EdgeStatus> {
    return this.call('Freeze', { forMs, reason });
  }

  unfreeze(): Promise<EdgeStatus> {
    return this.call('Unfreeze', {});
  }

  [Symbol.dispose](): void {
    this.client.close();
  }

  private call(name: 'Status' | 'Freeze' | 'Unfreeze', request: object): Promise<EdgeStatus> {
    const method = EDGE_LOCAL_SERVICE[name];
    if (method === undefined) throw new Error(`edge_local.proto has no ${name}`);
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, answer?: StatusResponse): void => {
        if (error !== null || answer === undefined) reject(error ?? new Error('no answer'));
        else resolve(JSON.parse(Buffer.from(answer.statusJson).toString()) as EdgeStatus);
      };
      const { path, requestSerialize, responseDeserialize } = method;
      const options = { deadline: Date.now() + DEADLINE_MS };
      const parse = responseDeserialize as (bytes: Buffer) => StatusResponse;
      this.client.makeUnaryRequest(
        path,
        requestSerialize,
        parse,
        request,
        options,
        done,
      ) satisfies ClientUnaryCall;
    });
  }
}
