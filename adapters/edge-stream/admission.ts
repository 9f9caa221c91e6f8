/** How many edges are welcomed in a second; who comes above that is given a moment of its own to come again. */

/** Between two welcomes, once many have come at once: a session costs its controller a little less. */
export const WELCOME_EVERY_MS = 5;
/** So many may come at once. */
export const WELCOMES_AT_ONCE = 200;
/** An edge that does not come at its moment has gone elsewhere. */
const KEPT_MS = 30_000;

export class Admission {
  /** When the next moment is that nobody was given; at most `WELCOMES_AT_ONCE` moments back. */
  #freeAtMs = -Infinity;
  readonly #given = new Map<string, number>();

  /** 0: it is welcome now; else it is to come again in so many ms, and will be welcome then. */
  admit(node: string, nowMs: number): number {
    const given = this.#given.get(node);
    if (given !== undefined && given <= nowMs) {
      this.#given.delete(node);
      return 0;
    }
    if (given !== undefined) return given - nowMs;
    const earliestMs = nowMs - WELCOME_EVERY_MS * WELCOMES_AT_ONCE;
    const atMs = Math.max(this.#freeAtMs, earliestMs) + WELCOME_EVERY_MS;
    this.#freeAtMs = atMs;
    if (atMs <= nowMs) return 0;
    this.#forget(nowMs);
    this.#given.set(node, atMs);
    return atMs - nowMs;
  }

  #forget(nowMs: number): void {
    for (const [node, atMs] of this.#given) {
      // In the order in which they were given.
      if (atMs > nowMs - KEPT_MS) return;
      this.#given.delete(node);
    }
  }
}
