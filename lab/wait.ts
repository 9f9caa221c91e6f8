/** Waiting for a condition: with a deadline, and for it to stay true, never by sleeping and hoping. */
import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** ms. */
  within: number;
  /** ms between two looks. */
  every?: number;
  /** How many looks in a row must agree. */
  times?: number;
}

/**
 * Resolves with the first value that is neither null nor undefined nor false on `times` looks in a
 * row. A look that throws counts as "not yet"; its error is told when the time is over.
 */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  { within, every = 100, times = 1 }: WaitOptions,
): Promise<T> {
  const deadline = performance.now() + within;
  let agreed = 0;
  let last: unknown = 'it never held';
  for (;;) {
    try {
      const value = await look();
      if (value !== null && value !== undefined && value !== false) {
        agreed += 1;
        if (agreed >= times) return value;
      } else {
        agreed = 0;
      }
    } catch (error) {
      agreed = 0;
      last = error;
    }
    if (performance.now() > deadline) {
      const why = last instanceof Error ? last.message : String(last);
      throw new Error(`Not within ${within / 1000} s: ${what} (${why})`, { cause: last });
    }
    await delay(every);
  }
}
