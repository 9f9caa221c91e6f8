/** Whoever has the certificate of an edge and speaks to its controller by himself. */
import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import { EDGE_NAMESPACE } from '../../../adapters/gateway/rules';
import { WORKFLOW_SERVICE } from '../../../adapters/gateway/server';
import { field } from '../../../adapters/gateway/wire';
import type { Tls } from './cluster';
import { asIs } from '../../../adapters/grpc/raw';

/** Calls by path and bytes, as whoever has the key of `tls`. */
export class Intruder {
  readonly client: grpc.Client;

  constructor(port: number, { ca, cert, key }: Tls) {
    const [root, chain, secret] = [ca, cert, key].map((path) => readFileSync(path));
    const credentials = grpc.credentials.createSsl(root, secret, chain);
    this.client = new grpc.Client(`127.0.0.1:${port}`, credentials, {
      'grpc.ssl_target_name_override': 'controller.aether',
      'grpc.default_authority': 'controller.aether',
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_send_message_length': -1,
    });
  }

  /** Status of the call, or the bytes of the answer. */
  call(path: string, request: Uint8Array, withinMs = 5_000): Promise<grpc.ServiceError | Buffer> {
    const deadline = Date.now() + withinMs;
    return new Promise((resolve) => {
      this.client.makeUnaryRequest(path, asIs, asIs, request, { deadline }, (error, answer) =>
        resolve(error ?? answer ?? Buffer.alloc(0)),
      );
    });
  }

  async code(path: string, request: Uint8Array): Promise<grpc.status | 'passed'> {
    const answer = await this.call(path, request);
    return Buffer.isBuffer(answer) ? 'passed' : answer.code;
  }
}

export const path = (method: string): string => `/${WORKFLOW_SERVICE}/${method}`;
export const text = (number: number, value: string): Uint8Array =>
  field(number, Buffer.from(value));
export const message = (...fields: Uint8Array[]): Buffer => Buffer.concat(fields);

export const pollOf = (node: string, queue = `edge/${node}`): Buffer =>
  message(text(1, EDGE_NAMESPACE), field(2, text(1, queue)), text(3, `${node}@1`));
export const answerOf = (node: string, token: Uint8Array): Buffer =>
  message(field(1, token), text(3, `${node}@1`), text(4, EDGE_NAMESPACE));
