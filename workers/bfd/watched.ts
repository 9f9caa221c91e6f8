/** What the pacer thread counts, and its worst of the last minutes. */
import type { BfdPacer } from '../../adapters/native/native';

/** The thread forgets its largest when they are read; here they are kept by the piece of time. */
const SAMPLE_MS = 10_000;
const SAMPLES = 18;

export interface Watched {
  sent: number;
  received: number;
  dropped: number;
  lateMaxMs: number;
  gapMaxMs: number;
}

interface Largest {
  lateUs: number;
  gapUs: number;
}

export class WatchedSession {
  private readonly largest: Largest[] = [];
  private sampledMs = -Infinity;
  /** By the machine, for what they say. */
  refused = 0;

  constructor(
    private readonly pacer: BfdPacer,
    private readonly discriminator: number,
  ) {}

  read(nowMs: number): Watched {
    const { sent, received, dropped, lateMaxUs, gapMaxUs } = this.pacer.counters(
      this.discriminator,
    );
    if (nowMs - this.sampledMs >= SAMPLE_MS) {
      this.sampledMs = nowMs;
      this.largest.push({ lateUs: 0, gapUs: 0 });
      if (this.largest.length > SAMPLES) this.largest.shift();
    }
    const newest = this.largest.at(-1);
    if (newest !== undefined) {
      newest.lateUs = Math.max(newest.lateUs, lateMaxUs);
      newest.gapUs = Math.max(newest.gapUs, gapMaxUs);
    }
    return {
      sent,
      received,
      dropped: dropped + this.refused,
      lateMaxMs: Math.max(...this.largest.map(({ lateUs }) => lateUs)) / 1000,
      gapMaxMs: Math.max(...this.largest.map(({ gapUs }) => gapUs)) / 1000,
    };
  }
}
