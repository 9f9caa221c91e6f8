/**
 * Ask one member; if it has not answered soon, ask the next as well; the first answer counts. So a
 * dead or silent member costs 40 ms, not a timeout.
 */

export interface HedgeTimes {
  /** Another member is asked when this long nobody has answered. */
  readonly hedgeAfterMs: number;
  /** How long one member may take. */
  readonly attemptMs: number;
  /** Pause before asking a member again that has just failed. */
  readonly pauseMs: number;
}

/** Measured with a killed leader, 50/250 ms: the first write succeeds after 0.4 s (median). */
export const defaultTimes: HedgeTimes = { hedgeAfterMs: 40, attemptMs: 250, pauseMs: 25 };

/** Nobody answered in time. `errors[i]`: the last one of target i, undefined while it is silent. */
export class NoAnswer extends Error {
  constructor(readonly errors: readonly unknown[]) {
    super('no answer');
  }
}

/**
 * Calls `attempt(i, deadlineMs)` for the targets 0 … `targets`-1, beginning with `first`, at most one
 * at a time for each, until one succeeds. `isFinal` tells errors that end it all; they are thrown as
 * they are. The attempts still under way are not awaited.
 * @throws {NoAnswer} after `totalMs`
 */
export function hedge<T>(
  targets: number,
  first: number,
  totalMs: number,
  attempt: (target: number, deadlineMs: number) => Promise<T>,
  isFinal: (error: unknown) => boolean,
  times: HedgeTimes = defaultTimes,
): Promise<{ value: T; target: number }> {
  return new Promise((resolve, reject) => {
    const endsAt = performance.now() + totalMs;
    const busy = new Set<number>();
    const errors: unknown[] = Array.from({ length: targets });
    let launched = 0;
    let next: NodeJS.Timeout | undefined;
    let finished = false;

    const finish = (settle: () => void): void => {
      finished = true;
      clearTimeout(next);
      clearTimeout(end);
      settle();
    };
    const end = setTimeout(() => finish(() => reject(new NoAnswer(errors))), totalMs);
    const launchIn = (ms: number): void => {
      clearTimeout(next);
      next = setTimeout(launch, ms);
    };
    const launch = (): void => {
      launchIn(times.hedgeAfterMs);
      for (let step = 0; step < targets; step++) {
        const target = (first + launched + step) % targets;
        if (busy.has(target)) continue;
        launched += step + 1;
        void run(target);
        return;
      }
    };
    const run = async (target: number): Promise<void> => {
      busy.add(target);
      try {
        const value = await attempt(target, Math.min(times.attemptMs, endsAt - performance.now()));
        if (!finished) finish(() => resolve({ value, target }));
      } catch (error) {
        busy.delete(target);
        if (finished) return;
        errors[target] = error;
        if (isFinal(error))
          finish(() => reject(error instanceof Error ? error : new Error(String(error))));
        else launchIn(launched % targets === 0 ? times.pauseMs : 0);
      }
    };
    launch();
  });
}
