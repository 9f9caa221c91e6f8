/**
 * The bookkeeping of one request socket: which requests wait, which are in flight, and what each
 * message from the kernel means for them. No I/O and no clock; the adapter sends what `ready`
 * yields and feeds what it receives.
 */
import { NLMSG, NLM_F } from './consts';
import { decodeAck, forEachMessage, type Message } from './message';

/**
 * How a request ended. `interrupted`: a dump was torn by a change; its objects may be incomplete.
 * `unknown`: the answer was lost, so it may or may not have taken effect; read the state.
 */
export type Outcome =
  | { state: 'done'; interrupted: boolean }
  | { state: 'failed'; errno: number; extack: string }
  | { state: 'unknown'; errno: number };

export interface Request {
  /** Complete but for the sequence number. */
  bytes: Uint8Array;
  /** Each object of the answer, in order; the message is valid only during the call. */
  onMessage: (message: Message) => void;
  onEnd: (outcome: Outcome) => void;
}

/**
 * `dump`: must be sent by the thread that receives. A dump is continued by the receiver; where
 * another thread starts it, the kernel may let both do the same piece, and one gets a false EINVAL.
 */
export interface Sendable {
  bytes: Uint8Array;
  seq: number;
  dump: boolean;
}

interface InFlight extends Request {
  dump: boolean;
  interrupted: boolean;
  /** A get without ACK ends with its one object. */
  acked: boolean;
}

const TYPE_FLAGS_OFFSET = 6;
const SEQ_OFFSET = 8;

/** More in flight than this lose answers to ENOBUFS on a default receive buffer. */
export const WINDOW = 32;

export class Exchange {
  private readonly waiting: Request[] = [];
  private readonly inFlight = new Map<number, InFlight>();
  private dumping = false;
  private seq = 0;

  constructor(private readonly window: number = WINDOW) {}

  submit(request: Request): void {
    this.waiting.push(request);
  }

  /** Takes what may be sent now: as many as the window allows, one dump at a time (else EBUSY). */
  ready(): Sendable[] {
    const out: Sendable[] = [];
    while (this.waiting.length > 0 && this.inFlight.size < this.window) {
      const dump = isDump(this.waiting[0]!.bytes);
      if (dump && this.dumping) break;
      const request = this.waiting.shift()!;
      this.dumping ||= dump;
      this.seq = (this.seq + 1) >>> 0 || 1;
      const view = new DataView(request.bytes.buffer, request.bytes.byteOffset);
      view.setUint32(SEQ_OFFSET, this.seq, true);
      const acked = (flagsOf(request.bytes) & NLM_F.ACK) !== 0;
      this.inFlight.set(this.seq, { ...request, dump, acked, interrupted: false });
      out.push({ bytes: request.bytes, seq: this.seq, dump });
    }
    return out;
  }

  /** Bytes of one or several datagrams. Throws Truncated; then the socket is of no use any more. */
  receive(bytes: Uint8Array, size: number): void {
    forEachMessage(bytes, size, (message) => this.dispatch(message));
  }

  private dispatch(message: Message): void {
    const request = this.inFlight.get(message.seq);
    if (!request) return;
    if (message.flags & NLM_F.DUMP_INTR && request.dump) request.interrupted = true;
    if (message.type === NLMSG.ERROR || message.type === NLMSG.DONE) {
      const { errno, extack } = decodeAck(message);
      this.end(
        message.seq,
        errno === 0
          ? { state: 'done', interrupted: request.interrupted }
          : { state: 'failed', errno, extack },
      );
      return;
    }
    request.onMessage(message);
    if (!request.dump && !request.acked) {
      this.end(message.seq, { state: 'done', interrupted: false });
    }
  }

  /** The message with this number could not be sent (errno 0: it was): nothing has happened. */
  sendFailed(seq: number, errno: number): void {
    if (errno !== 0 && this.inFlight.has(seq))
      this.end(seq, { state: 'failed', errno, extack: '' });
  }

  /** The kernel dropped answers (ENOBUFS): of nothing in flight do we know the end. */
  lost(errno: number): void {
    for (const seq of [...this.inFlight.keys()]) this.end(seq, { state: 'unknown', errno });
  }

  /** The socket closes: what waits is undone, what is in flight unknown. */
  close(errno: number): void {
    this.lost(errno);
    for (const { onEnd } of this.waiting.splice(0)) onEnd({ state: 'failed', errno, extack: '' });
  }

  get idle(): boolean {
    return this.inFlight.size === 0 && this.waiting.length === 0;
  }

  private end(seq: number, outcome: Outcome): void {
    const request = this.inFlight.get(seq)!;
    this.inFlight.delete(seq);
    if (request.dump) this.dumping = false;
    request.onEnd(outcome);
  }
}

const flagsOf = (bytes: Uint8Array): number =>
  bytes[TYPE_FLAGS_OFFSET]! | (bytes[TYPE_FLAGS_OFFSET + 1]! << 8);

/** NLM_F_DUMP is two bits that mean something else on NEW requests; only GETs lack ACK here. */
const isDump = (bytes: Uint8Array): boolean => {
  const flags = flagsOf(bytes);
  return (flags & NLM_F.DUMP) === NLM_F.DUMP && (flags & NLM_F.ACK) === 0;
};
