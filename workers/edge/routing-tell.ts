/** What the controller is told of routing: each change, and events until they are acknowledged. */
import type { Up } from '../../adapters/edge-stream/proto';
import type { RoutingEvent, RoutingStatus } from '../../core/model/routing';

/** Between two messages of change: sessions come up in bursts. */
const REST_MS = 100;
/** Events that nobody acknowledged are said again after this. */
const AGAIN_MS = 5_000;

export class Teller {
  private told = '';
  private toldAtMs = -Infinity;
  /** The newest event that went up on this connection. */
  private sentUpTo = 0;
  private unheardSinceMs: number | null = null;

  constructor(private readonly send: (message: Up) => boolean) {}

  /** Whoever is connected now knows nothing. */
  again(): void {
    this.told = '';
    this.sentUpTo = 0;
  }

  heard(): void {
    this.unheardSinceMs = null;
  }

  /** `text` is what tells one status from another. */
  tell(status: RoutingStatus, text: string, unsent: readonly RoutingEvent[]): void {
    const nowMs = performance.now();
    if (this.unheardSinceMs !== null && nowMs - this.unheardSinceMs > AGAIN_MS) this.sentUpTo = 0;
    const events = unsent.filter(({ sequence }) => sequence > this.sentUpTo);
    if (text === this.told && events.length === 0) return;
    // Events wait for nothing; of states only the newest counts.
    if (events.length === 0 && nowMs - this.toldAtMs < REST_MS) return;
    const message: Up = {
      message: 'routing',
      routing: { statusJson: json(status), eventsJson: events.map(json) },
    };
    if (!this.send(message)) return;
    this.told = text;
    this.toldAtMs = nowMs;
    const last = events.at(-1);
    if (last === undefined) return;
    this.sentUpTo = last.sequence;
    this.unheardSinceMs ??= nowMs;
  }
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
