/** What the thread of the gossip and whoever started it tell each other. */
import type { Profile } from '../../core/swim/types';
import type { SwimFailure } from './errors';
import type { MemberView } from './membership';

/** `workerData`. */
export interface ThreadOptions {
  name: string;
  boot: string;
  listen: string;
  profile: Profile;
  keys: string | null;
  label: string;
  counters: SharedArrayBuffer;
}

export type ToThread =
  | { kind: 'join'; id: number; addresses: readonly string[] }
  | { kind: 'leave'; timeoutMs: number }
  | { kind: 'close' };

/** What is worth a line in a log. */
export type Notice =
  /** Two processes use one name: theirs was not taken. */
  | { kind: 'conflict'; name: string; listed: string; claimed: string }
  /** The key file has changed: fingerprints, the first one writes. */
  | { kind: 'keys'; keys: string[] }
  /** It holds no keys any more: those from before stay in use. */
  | { kind: 'keysRefused'; why: string }
  /** Gossip has ended by itself: nobody is listed any more, others will take us for dead. */
  | { kind: 'failed'; why: string };

export type FromThread =
  | { kind: 'started'; address: string }
  | { kind: 'refused'; failure: SwimFailure }
  /** `shown`: more than incarnations has changed. */
  | { kind: 'view'; members: MemberView[]; awareness: number; shown: boolean }
  | { kind: 'joined'; id: number; answered: number }
  | { kind: 'notice'; notice: Notice };
