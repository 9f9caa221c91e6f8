/** What the thread that keeps leases and whoever started it tell each other. */
import type { PemPaths } from '../grpc/tls';

/** `workerData`. */
export interface KeeperOptions {
  readonly endpoints: readonly string[];
  readonly writer: string;
  readonly tls: PemPaths | null;
  /** `BEAT`: when the other thread's loop turned last. Nanoseconds of `process.hrtime`, which threads share. */
  readonly beat: SharedArrayBuffer;
  /** A loop that has not turned for so long is not a busy one: its leases are let go. */
  readonly hungMs: number;
}

export const BEAT = 0;
/** In the memory of a lease: until when it is certain to live, as above. */
export const VALID_UNTIL = 0;

export type ToKeeper =
  | { kind: 'grant'; id: number; ttlMs: number; everyMs: number; valid: SharedArrayBuffer }
  | { kind: 'revoke'; id: number; totalMs: number }
  | { kind: 'close' };

export type FromKeeper =
  | { kind: 'granted'; id: number; leaseId: string }
  | { kind: 'refused'; id: number; why: string }
  | { kind: 'ended'; id: number; why: string }
  | { kind: 'revoked'; id: number };

/** Monotonic, ms; the same in all threads. */
export const sharedNow = (): number => Number(process.hrtime.bigint()) / 1e6;

export const cell = (memory: SharedArrayBuffer): BigInt64Array => new BigInt64Array(memory);

export const newCell = (): SharedArrayBuffer => new SharedArrayBuffer(8);

export const storeMs = (memory: BigInt64Array, atMs: number): void => {
  Atomics.store(memory, 0, BigInt(Math.floor(atMs * 1e6)));
};

export const loadMs = (memory: BigInt64Array): number => Number(Atomics.load(memory, 0)) / 1e6;
