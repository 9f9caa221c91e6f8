/** A BFD session as a value: what it knows, what it is told, what it wants done. */
import type { BfdState } from '../model/routing';

export interface SessionConfig {
  /** bfd.LocalDiscr: unique on this host, not zero. */
  discriminator: number;
  /** What is wanted while Up; while it is not, no less than SLOW_US. */
  desiredMinTxUs: number;
  requiredMinRxUs: number;
  /** bfd.DetectMult. */
  multiplier: number;
  /**
   * Seamless BFD (RFC 7880): the discriminator of the reflector that is asked, from the first packet on.
   * Absent: asynchronous mode.
   */
  reflector?: number;
}

/** The bfd.Remote… variables: of the last packet that was taken. */
export interface Remote {
  /** 0 = not heard of for a detection time. */
  discriminator: number;
  state: BfdState;
  diagnostic: number;
  multiplier: number;
  desiredMinTxUs: number;
  /** 0: it wants nothing by time. */
  requiredMinRxUs: number;
}

/**
 * A Poll Sequence (§6.5). `settling`: the next one begins no sooner than `untilMs`, so that no Final of the
 * one before can end it: each Poll that was sent had as long to be answered as the first one took.
 */
export type Poll =
  { kind: 'none' } | { kind: 'polling'; sinceMs: number } | { kind: 'settling'; untilMs: number };

/** JSON-plain: the whole of it is kept on disk, and a restart goes on with it. */
export interface Session {
  config: SessionConfig;
  state: BfdState;
  /** bfd.LocalDiag. */
  diagnostic: number;
  remote: Remote;
  /** What our packets say. */
  announced: { desiredMinTxUs: number; requiredMinRxUs: number };
  /** What timers go by: it differs from what is announced until the peer has confirmed it (§6.8.3). */
  inUse: { desiredMinTxUs: number; requiredMinRxUs: number };
  poll: Poll;
  /** The last packet taken, P and F cleared; null where another like it would change something. */
  expect: number[] | null;
  /** Packets that told of a change at once, since `sinceMs`: of a network that repeats them they breed. */
  hasty: { sinceMs: number; sent: number };
  /** Why it does not come up, and until when nothing is tried (Infinity is not JSON: null = no time). */
  refused: { why: string; untilMs: number | null } | null;
}

/** Times in ms, of a clock that does not jump. */
export type Input =
  /** Of its peer: found by Your Discriminator, or by the source where that is zero. The UDP payload. */
  | { kind: 'received'; bytes: Uint8Array }
  /** Nothing was received for the detection time. */
  | { kind: 'expired' }
  | { kind: 'configured'; config: Omit<SessionConfig, 'discriminator' | 'reflector'> }
  | { kind: 'administered'; down: boolean }
  /** A restart, or the deadline: paces anew what is to be paced. */
  | { kind: 'started' }
  | { kind: 'tick' };

/** PacerSession (adapters/native/native.ts) without its addresses: the same fields, the same meaning. */
export interface Pace {
  discriminator: number;
  packet: Uint8Array | null;
  pauseMinUs: number;
  pauseMaxUs: number;
  detectUs: number;
  expect: Uint8Array | null;
}

/**
 * Why the state changed. `path`: silence, or the peer says down. `administrative`: either side's wish
 * (RFC 5882 §3.2: no failure of the path), or a peer that asks for what we refuse.
 */
export type ChangeCause = 'path' | 'administrative';

export type Effect =
  /** At most one a step, the last of its packets. */
  | { kind: 'pace'; pace: Pace }
  /** At once, besides what goes by time. */
  | { kind: 'send'; packet: Uint8Array }
  | { kind: 'changed'; from: BfdState; to: BfdState; diagnostic: number; cause: ChangeCause }
  /** Not taken, and why; nothing changed by it but perhaps `refused`. */
  | { kind: 'dropped'; why: string };
