/** The bfd process's own socket: root only; it needs neither agent nor control plane. */
import {
  status,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall,
} from '@grpc/grpc-js';
import type { BfdReport, Lease } from '../../core/announce/types';
import { serveUnix } from '../grpc/unix';
import {
  BFD_SERVICE,
  decodeLease,
  encodeTold,
  type LeaseMessage,
  type ReportMessage,
  type TimedEvent,
} from './proto';

/** Events that nobody has taken yet; the oldest go first. */
export const EVENTS_KEPT = 100;

export interface BfdPort {
  /** Null: the last one, renewed. What it throws ends the stream. */
  leased(lease: Lease | null): void;
  report(): BfdReport;
}

export interface BfdServer {
  /** Something of the report changed, and `events` happened; what comes in one turn of the loop goes as one. */
  tell(events: readonly TimedEvent[]): void;
  close(): Promise<void>;
}

type Stream = ServerDuplexStream<LeaseMessage, ReportMessage>;

/** Rejects where another bfd process answers on `path`; a socket that nobody serves is replaced. */
export async function serveBfd(path: string, port: BfdPort): Promise<BfdServer> {
  const teller = new Teller(port);
  const server = await serveUnix(path, 'bfd process', BFD_SERVICE, {
    attach: (stream: Stream) => {
      teller.attach(stream);
      stream.on('data', (message: LeaseMessage) => {
        try {
          // Whoever was superseded leases nothing any more.
          if (teller.attached !== stream) return;
          teller.taken(message.taken);
          port.leased(decodeLease(message));
        } catch (error) {
          const details = error instanceof Error ? error.message : String(error);
          stream.emit('error', { code: status.INVALID_ARGUMENT, details });
        }
      });
      stream.on('end', () => stream.end());
      for (const event of ['end', 'cancelled', 'error', 'close'] as const) {
        stream.on(event, () => teller.detach(stream));
      }
    },
    look: (_: ServerUnaryCall<object, ReportMessage>, done: sendUnaryData<ReportMessage>) =>
      done(null, encodeTold({ report: port.report(), events: [], told: 0 })),
  });
  return {
    tell: (events) => teller.tell(events),
    close: () => {
      teller.close();
      return server.close();
    },
  };
}

/**
 * Who does not read is told the newest once it does: nothing but the last events waits for it. An event that
 * was told and not taken is told to the next one: what is in flight when an agent dies is not lost.
 */
class Teller {
  attached: Stream | null = null;
  /** Not taken yet; the last of them bears the number `last`. */
  private events: TimedEvent[] = [];
  private last = 0;
  /** To the stream that is attached. */
  private told = 0;
  private due: NodeJS.Immediate | null = null;
  /** There is more to tell than was written. */
  private isBehind = false;

  constructor(private readonly port: BfdPort) {}

  attach(stream: Stream): void {
    this.attached?.end();
    this.attached = stream;
    this.told = 0;
    stream.on('drain', () => {
      if (this.attached === stream && this.isBehind) this.flush();
    });
    this.flush();
  }

  detach(stream: Stream): void {
    if (this.attached === stream) this.attached = null;
  }

  tell(events: readonly TimedEvent[]): void {
    this.events = [...this.events, ...events].slice(-EVENTS_KEPT);
    this.last += events.length;
    this.due ??= setImmediate(() => this.flush());
  }

  /** Those up to this number are with the one that is attached. */
  taken(number: number): void {
    if (number > this.told) return;
    this.events = this.after(number);
  }

  private after(number: number): TimedEvent[] {
    return this.last > number ? this.events.slice(-(this.last - number)) : [];
  }

  close(): void {
    if (this.due !== null) clearImmediate(this.due);
    this.attached?.end();
  }

  private flush(): void {
    if (this.due !== null) clearImmediate(this.due);
    this.due = null;
    if (this.attached === null) return;
    this.isBehind = this.attached.writableNeedDrain;
    if (this.isBehind) return;
    const events = this.after(this.told);
    this.told = this.last;
    this.attached.write(encodeTold({ report: this.port.report(), events, told: this.last }));
  }
}
