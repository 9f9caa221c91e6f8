/**
 * Looks for the proof of services: at each event of the host at once, and twice a second whatever happens.
 * Apart from the machine's own looks, which wait for a repair to end: a lost proof waits for nothing.
 */
import type { HostEvidence } from '../../core/announce/host';

const EVERY_MS = 500;
/** Rest between looks that events ask for: a burst of them is one or two looks. */
const REST_MS = 20;
/** A host that takes long to read is left most of the time for itself; but a lost proof can't wait. */
const REST_FACTOR = 9;
const REST_MAX_MS = 200;

export interface ProofLookParts {
  /** Null where the host could not be read, or the look proves nothing. */
  prove(): Promise<HostEvidence | null>;
  found(evidence: HostEvidence): void;
}

export class ProofLook {
  private timer: NodeJS.Timeout | null = null;
  private isLooking = false;
  private isAsked = false;
  private restUntilMs = 0;
  private stopped = false;

  constructor(private readonly parts: ProofLookParts) {}

  /** Something changed: the evidence may be another now. */
  poke(): void {
    this.isAsked = true;
    if (!this.isLooking) this.after(Math.max(0, this.restUntilMs - performance.now()));
  }

  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
  }

  private after(delayMs: number): void {
    if (this.stopped) return;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.look(), delayMs);
  }

  private async look(): Promise<void> {
    this.isLooking = true;
    this.isAsked = false;
    const beganMs = performance.now();
    const evidence = await this.parts.prove();
    if (this.stopped) return;
    const nowMs = performance.now();
    const restMs = Math.min(REST_MAX_MS, Math.max(REST_MS, REST_FACTOR * (nowMs - beganMs)));
    this.restUntilMs = nowMs + restMs;
    this.isLooking = false;
    this.after(this.wasAsked() ? restMs : Math.max(EVERY_MS, restMs));
    if (evidence !== null) this.parts.found(evidence);
  }

  /** While a look was under way: what it told may be older than that. */
  private wasAsked(): boolean {
    return this.isAsked;
  }
}
