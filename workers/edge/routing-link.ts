/** The agent's end of the bfd process's socket: leases down, reports up, dialled for ever. */
import { BfdClient, type Attachment } from '../../adapters/bfd/client';
import type { Told } from '../../adapters/bfd/proto';
import { plainWords } from '../../adapters/grpc/service';
import type { BfdReport, Lease } from '../../core/announce/types';

const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 1_000;
/** Reports come with changes alone: one that hangs is told from one that has nothing to say by asking it. */
const ASK_EVERY_MS = 2_000;

export interface BfdLinkParts {
  socket: string;
  /** Somebody is attached, or a change came. */
  told(told: Told, isFirst: boolean): void;
  /** The bfd process can't be heard any more. */
  lost(): void;
}

export class BfdLink {
  /** As last told; null while nobody is attached. */
  report: BfdReport | null = null;
  /** Why nobody is; null = somebody is. */
  problem: string | null = 'the bfd process was not heard yet';
  /** Epoch-free ms of the last lease that was taken over; null = none on this attachment. */
  leasedAtMs: number | null = null;
  private readonly client: BfdClient;
  private attachment: Attachment | null = null;
  private leased = '';
  private timer: NodeJS.Timeout | null = null;
  private failures = 0;
  private isAsking = false;
  private readonly asking: NodeJS.Timeout;

  constructor(private readonly parts: BfdLinkParts) {
    this.client = new BfdClient(parts.socket);
    this.attach();
    this.asking = setInterval(() => void this.ask(), ASK_EVERY_MS);
  }

  /** The same as before is a renewal. Nothing where nobody is attached: it is said once somebody is. */
  lease(lease: Lease): void {
    if (this.attachment === null || this.report === null) return;
    const text = JSON.stringify(lease);
    // A bfd process that hangs: the newest is said once it reads again.
    if (!this.attachment.lease(text === this.leased ? null : lease)) return;
    this.leased = text;
    this.leasedAtMs = performance.now();
  }

  /** Changes nothing over there: only the lease's grace time does. */
  close(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    clearInterval(this.asking);
    this.attachment?.close();
    this.attachment = null;
    this.client[Symbol.dispose]();
  }

  private attach(): void {
    this.timer = null;
    const mine = this.client.attach(
      (told) => {
        if (this.attachment !== mine) return;
        const isFirst = this.report === null;
        this.failures = 0;
        this.problem = null;
        this.report = told.report;
        this.parts.told(told, isFirst);
      },
      (why) => {
        if (this.attachment === mine) this.ended(why);
      },
    );
    this.attachment = mine;
  }

  private async ask(): Promise<void> {
    const asked = this.attachment;
    if (asked === null || this.report === null || this.isAsking) return;
    this.isAsking = true;
    const problem = await this.client.look().then(
      () => null,
      (error: Error) => `it does not answer (${plainWords(error.message)})`,
    );
    this.isAsking = false;
    if (problem === null || this.attachment !== asked) return;
    asked.close();
    this.ended(problem);
  }

  private ended(why: string | null): void {
    this.attachment = null;
    this.report = null;
    this.leased = '';
    this.leasedAtMs = null;
    this.problem = `the bfd process is not there: ${why ?? 'it ended the stream'}`;
    const delayMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** this.failures);
    this.failures += 1;
    this.timer = setTimeout(() => this.attach(), delayMs);
    this.parts.lost();
  }
}
