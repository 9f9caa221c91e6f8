/** What `streams.ts` is told and wants, and how patient it is. */
import type { OwnerFence } from '../model/edge-spec';

/** `address`: `host:port`. */
export interface Peer {
  id: string;
  address: string;
}

/** A stream from its dial to its end. */
export interface Held {
  stream: number;
  address: string;
  /** Null until it has welcomed us. */
  controller: string | null;
  sinceMs: number;
  /** Where it sends us; null: nowhere. */
  redirect: Peer | null;
  /** The id that it was told last that we have moved to. */
  movedTo: string | null;
  /** It says that it does not own us any more, and knows nobody who does. */
  lost: boolean;
  /** A heartbeat of it is overdue: it hangs, or the way to it is cut. */
  silent: boolean;
}

export interface StreamsState {
  seeds: readonly string[];
  learned: readonly Peer[];
  /** The highest heard. */
  fence: OwnerFence | null;
  held: readonly Held[];
  /** Its stream; null: nobody who owns us is connected. */
  primary: number | null;
  nextStream: number;
  /** When anybody is to be dialled, a redirect to be followed, a guest to be closed; Infinity: not by time. */
  lookAtMs: number;
  followAtMs: number;
  closeAtMs: number;
  /** Dials in a row that welcomed nobody, and of these those that cost somebody time. */
  failures: number;
  slowFailures: number;
  /** What edges of one controller shall spread over; null: nobody has said. */
  spreadMs: number | null;
  /** By address: it is not dialled before; last tried, or lost, at. */
  notBeforeMs: ReadonlyMap<string, number>;
  triedAtMs: ReadonlyMap<string, number>;
  /** When we last lost somebody who had welcomed us: who was tried before that is worth another dial. */
  lostAtMs: number;
  /** Times in a row that we looked around beside somebody: a guest, or a primary that is lost or silent. */
  looks: number;
  /** Redirects followed of late: what they have used up of their allowance, as of `hopsAtMs`. */
  hops: number;
  hopsAtMs: number;
}

export interface StreamEnd {
  why: string;
  /** It asked not to be dialled before; null: it did not. */
  retryAfterMs: number | null;
  /** Nobody listens there: that is known at once, and costs nobody anything. */
  isRefused: boolean;
}

export type StreamsInput =
  /** `fence`: the highest heard before; null: none was. */
  | { kind: 'start'; fence: OwnerFence | null }
  | {
      kind: 'welcomed';
      stream: number;
      controller: string;
      fence: OwnerFence | null;
      controllers: readonly Peer[];
      spreadMs: number | null;
    }
  /** Of any message that bears one. */
  | { kind: 'fence'; stream: number; fence: OwnerFence }
  /** Null: a former one is taken back. */
  | { kind: 'redirect'; stream: number; to: Peer | null }
  | { kind: 'controllers'; controllers: readonly Peer[] }
  | { kind: 'heartbeat'; stream: number; spreadMs: number | null; lost: boolean }
  | { kind: 'silent'; stream: number; silent: boolean }
  | { kind: 'ended'; stream: number; end: StreamEnd }
  | { kind: 'tick' };

export type StreamsEffect =
  | { kind: 'dial'; stream: number; address: string }
  | { kind: 'close'; stream: number; why: string }
  /** Say on `stream` that `controller` has welcomed us. */
  | { kind: 'moved'; stream: number; controller: string }
  /** What came on it is of a former owner: tell it the highest fence. */
  | { kind: 'fenced'; stream: number; fence: OwnerFence }
  /** It takes what we have to say from here on; null: nobody does. */
  | { kind: 'primary'; stream: number | null }
  /** Persist it: less is refused from here on. */
  | { kind: 'fence'; fence: OwnerFence };

/** Within this, while nobody has said how many share a controller. */
export const FIRST_RETRY_MS = 500;
/** A handful of edges need not wait to be apart. */
export const LEAST_SPREAD_MS = 50;
export const MOST_SPREAD_MS = 20_000;
/** A controller that returns is found within this… */
export const MAX_RETRY_MS = 5_000;
/** … unless it, or we, have too much to do: then fewer dials at a time are what helps. */
export const MAX_SLOW_RETRY_MS = 60_000;
/**
 * Without an owner a guest is given so long before another one is tried beside it. So is an owner that is lost, at
 * first: who is cut off alone has a successor within seconds.
 */
export const PATIENCE_MS = 5_000;
/** A dial that hangs for so long does not keep us from another one. */
export const HEDGE_MS = 4_000;
/** Between looks around beside an owner that is lost or silent, after the first; doubles up to 16 times as long. */
export const LOOK_AROUND_MS = 15_000;
/** Without an owner, looks around double up to this, and up to twice as long: whoever has news of one ends it. */
export const LOOK_MOST_MS = 30_000;
/** Redirects followed at once; one more every HOP_BACK_MS. */
export const HOPS_AT_ONCE = 4;
export const HOP_BACK_MS = 5_000;
/** Streams at a time, those that are being dialled among them. */
export const STREAMS_MAX = 3;
