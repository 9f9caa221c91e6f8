/** The calls themselves: one channel to gobgpd's socket, every failure a BgpError. */
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { BgpError } from '../../core/bgp/types';
import { plainWords } from '../grpc/service';
import { GOBGP_SERVICE } from './proto';

/** A hung gobgpd (SIGSTOP, a storm of routes) answers late or never. */
const DEADLINE_MS = 5_000;

const CHANNEL_OPTIONS = {
  // Found again within a moment of its restart; the default waits up to 2 minutes.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 500,
  'grpc.use_local_subchannel_pool': 1,
  // Of a list of peers or paths; gobgpd's own limit.
  'grpc.max_receive_message_length': 256 << 20,
  // No keepalive: a Go server ends a connection that pings more often than each 5 minutes.
};

export class Calls {
  private readonly client: Client;
  private closed = false;

  /** `unix:/path`, or `host:port` of one that is only looked at. */
  constructor(target: string) {
    this.client = new Client(target, credentials.createInsecure(), CHANNEL_OPTIONS);
  }

  async unary<A = object>(name: string, request: object): Promise<A> {
    this.check(name);
    const { path, requestSerialize, responseDeserialize } = method(name);
    const read = responseDeserialize as (bytes: Buffer) => A;
    const deadline = Date.now() + DEADLINE_MS;
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, answer?: A): void => {
        if (error !== null) reject(bgpError(name, error));
        else resolve(answer as A);
      };
      this.client.makeUnaryRequest(path, requestSerialize, read, request, { deadline }, done);
    });
  }

  /** A stream that ends by itself, as a list. */
  async list<A>(name: string, request: object, withinMs = DEADLINE_MS): Promise<A[]> {
    const answers: A[] = [];
    await this.each<A>(name, request, (answer) => answers.push(answer), withinMs);
    return answers;
  }

  /** The same one by one: a table is not to lie in memory whole. */
  each<A>(
    name: string,
    request: object,
    take: (answer: A) => void,
    withinMs = DEADLINE_MS,
  ): Promise<void> {
    const call = this.stream<A>(name, request, Date.now() + withinMs);
    return new Promise((resolve, reject) => {
      call.on('data', take);
      call.on('error', (error: ServiceError) => reject(bgpError(name, error)));
      call.on('end', () => resolve());
    });
  }

  /** Throws a BgpError where it was closed. */
  stream<A>(name: string, request: object, deadline?: number) {
    this.check(name);
    const { path, requestSerialize, responseDeserialize } = method(name);
    const read = responseDeserialize as (bytes: Buffer) => A;
    const options = deadline === undefined ? {} : { deadline };
    return this.client.makeServerStreamRequest(path, requestSerialize, read, request, options);
  }

  close(): void {
    this.closed = true;
    this.client.close();
  }

  private check(name: string): void {
    if (this.closed) throw new BgpError('unreachable', `${name}: closed`);
  }
}

function method(name: string) {
  const found = GOBGP_SERVICE[name];
  if (found === undefined) throw new Error(`gobgp.proto has no ${name}`);
  return found;
}

const UNREACHABLE = new Set([status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.CANCELLED]);

/** gobgpd gives every refusal the code UNKNOWN and a sentence. */
export function bgpError(name: string, { code, details }: ServiceError): BgpError {
  const said = plainWords(details);
  if (UNREACHABLE.has(code)) return new BgpError('unreachable', `it does not answer (${said})`);
  const message = `${name}: ${said}`;
  if (details.includes("hasn't started yet")) return new BgpError('notStarted', message);
  return new BgpError('refused', message);
}
