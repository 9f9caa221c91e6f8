import { type Now, toEpoch } from '../core/model/now';

/**
 * CLOCK_MONOTONIC of the host, in ms: no step of the time of day moves it, and it is the same for the process
 * that comes after this one.
 */
export const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000_000n);

/** The time of day, for people. */
export const epochMs = (): number => Date.now();

export const now = (): Now => ({ monotonicMs: monotonicMs(), epochMs: epochMs() });

/** A moment of the monotonic clock as time of day. */
export const toEpochMs = (atMs: number): number => Math.round(toEpoch(atMs, now()));
