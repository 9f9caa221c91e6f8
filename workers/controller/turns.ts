/**
 * Lets things begin a few at a time, first come, first served. What is slow makes room after a while: it
 * may wait for something that takes nobody's time, and nobody shall wait for that.
 */
export interface TurnsOptions {
  atOnce: number;
  patienceMs: number;
  /** Monotonic, ms. */
  now?: () => number;
}

export class Turns<T> {
  readonly #options: Required<TurnsOptions>;
  readonly #waiting = new Set<T>();
  /** Since when. */
  readonly #begun = new Map<T, number>();

  constructor(options: TurnsOptions) {
    this.#options = { now: () => performance.now(), ...options };
  }

  /** Whether it may begin; if not, its turn comes. One that has begun may go on. */
  take(one: T): boolean {
    if (this.#begun.has(one)) return true;
    if (!this.#hasRoom()) {
      this.#waiting.add(one);
      return false;
    }
    this.#waiting.delete(one);
    this.#begun.set(one, this.#options.now());
    return true;
  }

  /** It has ended, or waits for others, or need not begin any more. */
  leave(one: T): void {
    this.#waiting.delete(one);
    this.#begun.delete(one);
  }

  /** Whose turn it is; it waits no more, and takes its turn or lets it pass. */
  next(): T | null {
    if (!this.#hasRoom()) return null;
    for (const one of this.#waiting) {
      this.#waiting.delete(one);
      return one;
    }
    return null;
  }

  #hasRoom(): boolean {
    const { atOnce, patienceMs, now } = this.#options;
    if (this.#begun.size < atOnce) return true;
    const longAgo = now() - patienceMs;
    for (const [one, sinceMs] of this.#begun) if (sinceMs <= longAgo) this.#begun.delete(one);
    return this.#begun.size < atOnce;
  }
}
