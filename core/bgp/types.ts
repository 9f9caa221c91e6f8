/**
 * What Aether asks of a BGP speaker. `adapters/gobgp` is the one that answers; a value here names what
 * gobgpd's API (proto/gobgp.proto) has under other names. Every call rejects with a BgpError.
 */
import type { BgpState } from '../model/routing';
import type { PeerDown } from './notification';

/** `unreachable`: nobody answers at the socket. `notStarted`: it runs, and StartBgp was not called. */
export interface BgpFailure {
  code: 'unreachable' | 'notStarted' | 'refused';
  message: string;
}

/** Nothing is known of the outcome of a call that ended `unreachable`: read again. */
export class BgpError extends Error implements BgpFailure {
  constructor(
    readonly code: BgpFailure['code'],
    message: string,
  ) {
    super(message);
    this.name = 'BgpError';
  }
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
  /** It does not try: an administrator said so, or the prefix limit was exceeded. */
  adminDown: boolean;
  /** It sent more than `maxPrefixes`; stays down until it is added anew. */
  prefixLimitExceeded: boolean;
  localAddress: string | null;
  /** Epoch ms of the last change to or from established, by the second; 0 = never. */
  sinceMs: number;
  /** Prefixes it sent, before the import policy: what `maxPrefixes` counts. */
  received: number;
  /** Counted since it was added: what they say of a session that does not come up. */
  opens: { sent: number; received: number };
  notifications: { sent: number; received: number };
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

/** A path of an observer's table, as one of its neighbours told it. */
export interface ObservedPath {
  prefix: string;
  neighbor: string;
  nextHop: string;
  best: boolean;
  /** u32 each (RFC 1997). */
  communities: number[];
  asPath: number[];
}

/** A speaker that is only looked at. Rejects with a BgpError. */
export interface ObserverPort {
  /** All paths of exactly this prefix. */
  pathsOf(prefix: string): Promise<ObservedPath[]>;
  close(): void;
}

export type BgpEvent =
  | { kind: 'peer'; address: string; state: BgpState; adminDown: boolean; reason: string | null }
  /** All that are best now (ECMP); none = withdrawn. */
  | { kind: 'best'; prefix: string; paths: BestPath[] }
  /** What was when the watch began has been told. */
  | { kind: 'initialDone' }
  /** The watch ended; nothing more comes. */
  | { kind: 'ended'; failure: BgpFailure };

export interface BgpPort {
  /** Null: it runs, but is not started. */
  global(): Promise<GlobalConfig | null>;
  start(config: GlobalConfig): Promise<void>;
  peers(): Promise<PeerState[]>;
  /** Neighbour → prefixes of it that the import policy let in. Lists the table: not for every second. */
  accepted(): Promise<Map<string, number>>;
  addPeer(config: PeerConfig): Promise<void>;
  /** What can't be changed in place resets the session: `core/bgp` knows which fields. */
  updatePeer(config: PeerConfig): Promise<void>;
  deletePeer(address: string): Promise<void>;
  /**
   * Takes the session down with Cease/Administrative Reset and `communication` (RFC 9003, cut at 128 bytes);
   * it dials again within 3 s. False: it was not Established, and nothing was asked for. The NOTIFICATION is
   * sent by the time it resolves true. What gobgpd 4.8.0 would keep for the next session, where this one
   * goes by itself in that moment, is thrown away with its session (adapters/gobgp/client.ts).
   */
  resetPeer(address: string, communication: string): Promise<boolean>;
  /** One that is idle is added anew: it dials within 2 s, whatever kept it idle. Any other state is left. */
  redialPeer(address: string): Promise<void>;
  /** Export policy is applied anew, without touching the session. */
  refreshOut(address: string): Promise<void>;
  /**
   * The two policies, whole: only `exportPrefixes` leave, and nothing at all to `held` neighbours;
   * only `importPrefixes` (and longer ones) enter. Changes what differs, in an order that never opens more,
   * resets no session, and has what changed judged again (routes told and taken back).
   */
  setPolicies(policies: Policies): Promise<void>;
  /**
   * What we put into the global table; of exactly `prefixes`, where they are given. Without them the whole table
   * is listed, neighbours' routes too: 100,000 of those take seconds.
   */
  paths(prefixes?: readonly string[]): Promise<PathConfig[]>;
  /** Replaces what is there of that prefix. */
  addPath(path: PathConfig): Promise<void>;
  deletePath(prefix: string): Promise<void>;
  watch(
    what: { peers: boolean; best: boolean },
    onEvent: (event: BgpEvent) => void,
  ): { close(): void };
  /**
   * Why sessions went, a moment after `watch` says that they did. Ends silently with gobgpd. Who asks last
   * is told, nobody else: the agent does.
   */
  watchDowns(onDown: (down: PeerDown) => void): Promise<{ close(): void }>;
  /** The policies are those of `setPolicies`: nobody else set this gobgpd up. */
  isOurs(): Promise<boolean>;
  close(): void;
}

/** Null: leave as it is (the agent writes prefixes, the bfd process the held neighbours). */
export interface Policies {
  exportPrefixes: string[] | null;
  importPrefixes: string[] | null;
  held: string[] | null;
}
