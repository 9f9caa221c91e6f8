/**
 * What Aether asks of a BGP speaker. `adapters/gobgp` is the one that answers; a value here names what
 * gobgpd's API (proto/gobgp.proto) has under other names. Every call rejects with a BgpError.
 */
import type { BgpState } from '../model/routing';

/** `unreachable`: nobody answers at the socket. `notStarted`: it runs, and StartBgp was not called. */
export interface BgpFailure {
  code: 'unreachable' | 'notStarted' | 'refused';
  message: string;
}

export interface GlobalConfig {
  asn: number;
  routerId: string;
  listenPort: number | null;
}

/** A neighbour as gobgpd shall have it; `password` is the secret itself. */
export interface PeerConfig {
  address: string;
  asn: number;
  password: string;
  ttlSecurity: boolean;
  multihop: number | null;
  holdTimeS: number;
  maxPrefixes: number;
}

export interface PeerState {
  /** As gobgpd holds it, so that it can be compared; its password is always there, too. */
  config: PeerConfig;
  state: BgpState;
  adminDown: boolean;
  localAddress: string | null;
  /** Epoch ms of the last change to or from established; 0 = never. */
  sinceMs: number;
  accepted: number;
  advertised: number;
  flops: number;
  /** Of the last NOTIFICATION received or sent, where gobgpd tells. */
  lastError: string | null;
}

export interface PathConfig {
  prefix: string;
  communities: number[];
  /** Whole AS path put before; `[asn, asn]` = prepended twice. */
  asPath: number[];
}

/** A best path of the global table that came from a neighbour. */
export interface BestPath {
  prefix: string;
  nextHop: string;
  neighbor: string;
}

export type BgpEvent =
  | { kind: 'peer'; address: string; state: BgpState; adminDown: boolean; reason: string | null }
  /** `path.nextHop` null: withdrawn. `initial`: of the table as it was when the watch began. */
  | { kind: 'best'; prefix: string; paths: BestPath[] }
  | { kind: 'initialDone' }
  /** The watch ended; nothing more comes. */
  | { kind: 'ended'; failure: BgpFailure };

export interface BgpPort {
  /** Null: it runs, but is not started. */
  global(): Promise<GlobalConfig | null>;
  start(config: GlobalConfig): Promise<void>;
  peers(): Promise<PeerState[]>;
  addPeer(config: PeerConfig): Promise<void>;
  /** What can't be changed in place resets the session: `core/bgp` knows which fields. */
  updatePeer(config: PeerConfig): Promise<void>;
  deletePeer(address: string): Promise<void>;
  /**
   * Takes the session down and up again; false: it was not Established, and nothing was asked for.
   * By DisablePeer (Cease/Administrative Shutdown with `communication`, RFC 9003), then EnablePeer once
   * `adminDown` is seen: gobgpd reads these in every state. ResetPeer it does not: what 4.8.0 gets in another
   * state than Established waits, and kills the next session (docs/notes/bfd.md). Whoever dies in between
   * leaves the peer disabled: see `enablePeer`.
   */
  resetPeer(address: string, communication: string): Promise<boolean>;
  /** Nothing, where it is enabled. */
  enablePeer(address: string): Promise<void>;
  /** Export policy is applied anew, without touching the session. */
  refreshOut(address: string): Promise<void>;
  /**
   * The two policies, whole: only `exportPrefixes` leave, and nothing at all to `held` neighbours;
   * only `importPrefixes` (and longer ones) enter. Changes what differs, in an order that never opens more.
   */
  setPolicies(policies: Policies): Promise<void>;
  /** What we put into the global table. */
  paths(): Promise<PathConfig[]>;
  /** Replaces what is there of that prefix. */
  addPath(path: PathConfig): Promise<void>;
  deletePath(prefix: string): Promise<void>;
  watch(
    what: { peers: boolean; best: boolean },
    onEvent: (event: BgpEvent) => void,
  ): { close(): void };
  close(): void;
}

/** Null: leave as it is (the agent writes prefixes, the bfd process the held neighbours). */
export interface Policies {
  exportPrefixes: string[] | null;
  importPrefixes: string[] | null;
  held: string[] | null;
}
