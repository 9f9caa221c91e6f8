/**
 * Events of edges on their way to Temporal. An edge repeats what was not acknowledged, so what waits
 * here is kept by sequence and handed on in one signal; only what Temporal has is acknowledged.
 */
import type { NodeName } from '../../core/model/ids';
import type { RoutingEvent } from '../../core/model/routing';
import type { Handoff } from './handoff';

export interface RoutingEventsDependencies {
  handoff: Handoff;
  /** Resolves once Temporal has them. */
  signal: (node: NodeName, events: RoutingEvent[]) => Promise<void>;
}

/** In one signal: some 30 kB, far below what a history takes well. */
const SIGNAL_MAX = 100;
/** Of one edge; it keeps the others until these are acknowledged. */
const WAITING_MAX = 1_000;

export class RoutingEvents {
  readonly #waiting = new Map<NodeName, Map<number, RoutingEvent>>();
  readonly #deps: RoutingEventsDependencies;

  constructor(dependencies: RoutingEventsDependencies) {
    this.#deps = dependencies;
  }

  /** `acknowledge`: up to this sequence all that was given is safe. */
  submit(
    node: NodeName,
    events: readonly RoutingEvent[],
    acknowledge: (sequence: number) => void,
  ): void {
    if (events.length === 0) return;
    const waiting = this.#waiting.get(node) ?? new Map<number, RoutingEvent>();
    this.#waiting.set(node, waiting);
    for (const event of events) {
      if (waiting.size < WAITING_MAX || waiting.has(event.sequence)) {
        waiting.set(event.sequence, event);
      }
    }
    this.#hand(node, acknowledge);
  }

  #hand(node: NodeName, acknowledge: (sequence: number) => void): void {
    const waiting = this.#waiting.get(node);
    const events = [...(waiting?.values() ?? [])]
      .sort((a, b) => a.sequence - b.sequence)
      .slice(0, SIGNAL_MAX);
    const last = events.at(-1);
    if (!waiting || !last) {
      this.#waiting.delete(node);
      return;
    }
    this.#deps.handoff.submit(`routing/${node}`, {
      id: `${events[0]?.sequence}-${last.sequence}`,
      send: () => this.#deps.signal(node, events),
      done: () => {
        for (const { sequence } of events) waiting.delete(sequence);
        acknowledge(last.sequence);
        // The job that ends now is still the one of its key: what is left follows behind it.
        setImmediate(() => this.#hand(node, acknowledge));
      },
    });
  }
}
