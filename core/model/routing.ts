/**
 * What is commanded and what is so, of BGP, BFD and announcements. JSON-plain, versioned by adding
 * optional fields only.
 */
import type { Stance } from './anycast';
import type { NodeName } from './ids';

// ---- Commanded, in etcd ----------------------------------------------------------------------------

/** Who commanded what, when: with each command. */
export interface Command {
  stance: Stance;
  reason: string;
  /** A person, or the workflow's id where none stands behind it. */
  by: string;
  atMs: number;
}

/** `routing/<node>`: of all services on a node. Rewritten to `announce`, deleted only with the node (decision 0023). */
export interface NodeRouting {
  command: Command;
}

/** `traffic/<service>`: regions that stand otherwise than their weight says. Never deleted but with it. */
export interface ServiceTraffic {
  regions: Record<string, Command>;
  /** Nodes that stand otherwise than their region, e.g. the first of a staged return. */
  nodes?: Record<NodeName, Command>;
}

/**
 * `permits/<service>`: who may withdraw by itself. At most announcers − minAnnouncers, `returning` ones
 * included: one counts until its holder has accepted a spec without it.
 */
export interface Permits {
  holders: Record<NodeName, { state: 'held' | 'returning' }>;
}

// ---- Observed, by the edge -------------------------------------------------------------------------

/** RFC 4271 §8.2.2, as gobgpd names them. */
export const BGP_STATES = [
  'unknown',
  'idle',
  'connect',
  'active',
  'openSent',
  'openConfirm',
  'established',
] as const;
export type BgpState = (typeof BGP_STATES)[number];

/** RFC 5880 §4.1, in the order of their numbers. */
export const BFD_STATES = ['adminDown', 'down', 'init', 'up'] as const;
export type BfdState = (typeof BFD_STATES)[number];

export interface BfdSessionView {
  peer: string;
  multihop: boolean;
  local: string | null;
  /** Absent: asynchronous. */
  mode?: 'seamless';
  state: BfdState;
  remoteState: BfdState;
  sinceMs: number;
  /** bfd.LocalDiag, and what the peer said last: names of RFC 5880 §4.1. */
  diagnostic: string;
  remoteDiagnostic: string;
  localDiscriminator: number;
  remoteDiscriminator: number;
  /** In use now, after negotiation. */
  transmitIntervalMs: number;
  detectTimeMs: number;
  remoteMultiplier: number;
  /** Why it can't come up: an authenticated peer, demand mode …; null = nothing is known. */
  refused: string | null;
  packets: { sent: number; received: number; dropped: number };
  /** Times it went from up to down. */
  downs: number;
  /** Of the last minutes: how late the thread woke to send, and gaps between packets received. */
  lateMaxMs: number;
  gapMaxMs: number;
}

export interface NeighborView {
  address: string;
  asn: number;
  state: BgpState;
  /** Of the TCP session; null while there is none. What our announcements carry as next hop. */
  localAddress: string | null;
  sinceMs: number;
  /** Prefixes taken in. */
  accepted: number;
  /** Nothing is exported to it until then (null: until BFD is up again), and why. */
  held: { untilMs: number | null; why: string } | null;
  /** What is wrong, for people: "wrong password or no answer", "peer says: Cease/Maximum prefixes". */
  problem: string | null;
  bfd: BfdSessionView | null;
}

/** One service on one edge. `stance` is the effective one, in gobgpd now. */
export interface ServiceView {
  service: string;
  prefixes: string[];
  stance: Stance;
  /** It is in gobgpd, and at least one session is established that exports it. */
  announced: boolean;
  /** Why it is not announced; empty = it is. One sentence each. */
  why: string[];
  /** The local proof holds, whatever is commanded: this edge could announce it. */
  proven?: boolean;
  sinceMs: number;
  permit: boolean;
}

export interface RoutingStatus {
  atMs: number;
  /** Sibling processes; `problem` null = it runs and is as wanted. */
  gobgpd: { problem: string | null };
  bfd: { problem: string | null; realtime: boolean };
  neighbors: NeighborView[];
  /** Sessions without BGP. */
  bfdPeers: BfdSessionView[];
  services: ServiceView[];
}

/** What happened, once; the edge keeps it until a controller has handed it on. */
export type RoutingEvent = {
  /** Rises with each event of a node, also over restarts of its agent. */
  sequence: number;
  atMs: number;
} & (
  | { kind: 'bfdDown'; peer: string; diagnostic: string; cause: FlapCause }
  | { kind: 'bfdUp'; peer: string }
  | { kind: 'bgpDown'; peer: string; reason: string; cause: FlapCause }
  | { kind: 'bgpUp'; peer: string }
  /** `cause`: `path` where a proof was lost or came back, else commanded; absent: as if commanded. */
  | {
      kind: 'stance';
      service: string;
      from: Stance;
      to: Stance;
      why: string;
      cause?: 'path' | 'administrative';
    }
  /** The agent before this one left without having been told to. */
  | { kind: 'agentCrash'; reason: string }
);

/**
 * Why a session went: what a penalty is given for. `path`: the path failed, or nobody knows better.
 * `consequence`: of another event that is told by itself (BFD after its BGP session was closed; BGP reset
 * by our BFD). `administrative`: the peer's or our administrator wanted it (RFC 4486, AdminDown).
 */
export type FlapCause = 'path' | 'consequence' | 'administrative';
