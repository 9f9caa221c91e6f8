/**
 * Hands things to Temporal until it has them, however long it is away. One thing a key is under way;
 * what comes meanwhile takes the place of what waits, so memory is bounded by the number of keys: none is an edge's to choose.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ControllerMetrics } from './metrics';

export interface Job {
  /** Two jobs of the same content are one. */
  id: string;
  send(): Promise<void>;
  /** Temporal has it. */
  done(): void;
}

export interface HandoffOptions {
  signal: AbortSignal;
  /** Resolves once there is a way to Temporal: until then what is cancelled, or takes another's place, costs nothing. */
  ready: () => Promise<unknown>;
  /** `attempt`: from 1. */
  onRetry: (key: string, error: unknown, attempt: number) => void;
  onDone: (key: string, waitedMs: number) => void;
}

/**
 * Calls under way at once. What more of them would do is wait in the server, some until their answer comes
 * too late and they are made again; those that wait here cost nothing, and the newest of a key is sent.
 */
const AT_ONCE = 32;
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 2_000;

export class Handoff {
  readonly #waiting = new Map<string, Job>();
  /** Keys that are being delivered; one that was cancelled and comes again stays with its delivery. */
  readonly #delivering = new Set<string>();
  readonly #options: HandoffOptions;
  #calls = 0;
  /** Deliveries that wait for a call to end, in the order in which they came. */
  readonly #queue: (() => void)[] = [];

  constructor(options: HandoffOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  submit(key: string, job: Job): void {
    const present = this.#waiting.get(key);
    if (present?.id === job.id) return;
    this.#waiting.set(key, job);
    if (!this.#delivering.has(key)) void this.#deliver(key);
  }

  /** What no longer needs to be said, e.g. of a node that is gone. */
  cancel(key: string): void {
    this.#waiting.delete(key);
  }

  async #deliver(key: string): Promise<void> {
    const { signal, ready, onRetry, onDone } = this.#options;
    this.#delivering.add(key);
    const sinceMs = performance.now();
    await ready();
    let attempt = 0;
    let retryMs = FIRST_RETRY_MS;
    for (;;) {
      const room = this.#begin();
      if (room) await room;
      // What waits by now, which may be another job or none.
      const job = this.#waiting.get(key);
      if (!job || signal.aborted) {
        this.#end();
        break;
      }
      try {
        await job.send().finally(() => this.#end());
        onDone(key, performance.now() - sinceMs);
        job.done();
        if (this.#waiting.get(key) === job) this.#waiting.delete(key);
      } catch (error) {
        onRetry(key, error, ++attempt);
        await sleep(retryMs, undefined, { signal }).catch(() => undefined);
        retryMs = Math.min(2 * retryMs, MAX_RETRY_MS);
      }
    }
    this.#delivering.delete(key);
  }

  /** Null: at once. */
  #begin(): Promise<void> | null {
    if (this.#calls < AT_ONCE) {
      this.#calls += 1;
      return null;
    }
    return new Promise((resolve) => this.#queue.push(resolve));
  }

  /** Whoever waits takes over the place of the call that ended. */
  #end(): void {
    const next = this.#queue.shift();
    if (next) next();
    else this.#calls -= 1;
  }
}

/** One that tells of its retries, and counts. */
export const countedHandoff = (
  signal: AbortSignal,
  ready: () => Promise<unknown>,
  metrics: ControllerMetrics,
  log: Logger,
): Handoff =>
  new Handoff({
    signal,
    ready,
    onRetry: (key, error, attempt) => {
      metrics.handoffRetries.inc();
      // An outage is one line for each thing that waits for its end.
      const level = attempt === 1 ? 'warn' : 'debug';
      log[level]({ err: error, what: key, attempt }, 'Temporal did not take it yet');
    },
    onDone: (key, waitedMs) => {
      const what = key.slice(0, key.indexOf('/'));
      metrics.handoffSeconds.observe({ what }, waitedMs / 1000);
    },
  });
