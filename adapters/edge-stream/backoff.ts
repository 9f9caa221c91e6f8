/** When to dial again. Pure; `random` gives [0, 1). */

/** The first try comes within this, so that a controller that returns is found at once. */
export const FIRST_RETRY_MS = 500;
/** Also with a thousand edges that lost the same controller: they come spread over as long. */
export const MAX_RETRY_MS = 5_000;

/** Full jitter on a doubling ceiling: edges that failed together must not come back together. */
export const retryDelayMs = (failures: number, random: () => number): number =>
  Math.round(random() * Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 10)));
