/** Talks to the bfd process of this host: the agent by a stream of leases, people by a look. */
import { Client, type ClientDuplexStream, credentials, type ServiceError } from '@grpc/grpc-js';
import type { BfdReport, Lease } from '../../core/announce/types';
import { plainWords } from '../grpc/service';
import {
  BFD_SERVICE,
  decodeTold,
  encodeLease,
  type LeaseMessage,
  type ReportMessage,
  type Told,
} from './proto';

const DEADLINE_MS = 5_000;

export interface Attachment {
  /**
   * Null renews the last one. Says besides that what was told so far was taken: whoever passes it to `told`
   * has it. False: nothing was said, the stream is over or too much waits in it.
   */
  lease(lease: Lease | null): boolean;
  close(): void;
}

export class BfdClient implements Disposable {
  private readonly client: Client;

  constructor(socketPath: string) {
    // Its own back-off between connections grows to two minutes; the process next door is back in one second.
    this.client = new Client(`unix:${socketPath}`, credentials.createInsecure(), {
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 500,
    });
  }

  /**
   * Takes the place of whoever was attached. `told` gets the report as it is, then each change; `ended` is
   * called once: null: somebody else attached, or the process ends; else why.
   */
  attach(told: (told: Told) => void, ended: (problem: string | null) => void): Attachment {
    const stream = this.open();
    let over = false;
    const end = (problem: string | null): void => {
      if (over) return;
      over = true;
      ended(problem);
    };
    let taken = 0;
    stream.on('data', (message: ReportMessage) => {
      const news = decodeTold(message);
      told(news);
      taken = news.told;
    });
    stream.on('error', (error: ServiceError) => end(plainWords(error.details)));
    stream.on('end', () => {
      stream.end();
      end(null);
    });
    return {
      lease: (lease) => {
        if (over || stream.writableNeedDrain) return false;
        stream.write(encodeLease(lease, taken));
        return true;
      },
      close: () => {
        over = true;
        stream.cancel();
      },
    };
  }

  /** As it is now. Rejects with a ServiceError where nobody is there. */
  look(): Promise<BfdReport> {
    const { path, requestSerialize, responseDeserialize } = method('Look');
    const read = responseDeserialize as (bytes: Buffer) => ReportMessage;
    const options = { deadline: Date.now() + DEADLINE_MS };
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, answer?: ReportMessage): void => {
        if (error !== null || answer === undefined) reject(error ?? new Error('no answer'));
        else resolve(decodeTold(answer).report);
      };
      this.client.makeUnaryRequest(path, requestSerialize, read, {}, options, done);
    });
  }

  [Symbol.dispose](): void {
    this.client.close();
  }

  private open(): ClientDuplexStream<LeaseMessage, ReportMessage> {
    const { path, requestSerialize, responseDeserialize } = method('Attach');
    const read = responseDeserialize as (bytes: Buffer) => ReportMessage;
    return this.client.makeBidiStreamRequest(path, requestSerialize, read);
  }
}

function method(name: string): (typeof BFD_SERVICE)[string] {
  const found = BFD_SERVICE[name];
  if (found === undefined) throw new Error(`bfd.proto has no ${name}`);
  return found;
}
