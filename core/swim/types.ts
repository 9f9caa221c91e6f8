/**
 * Membership by SWIM (Das et al. 2002) with Lifeguard (Dadgar et al. 2017), as hashicorp/memberlist 0.7 speaks it: what a
 * member knows, what it is told, what it wants done. No socket, clock or randomness.
 */

export const MEMBER_STATES = ['alive', 'suspect', 'dead', 'left'] as const;
export type MemberState = (typeof MEMBER_STATES)[number];

/** Where a member listens, UDP and TCP alike. */
export interface Address {
  /** IPv4 or IPv6, canonical text. */
  ip: string;
  port: number;
}

/** memberlist's `Vsn`: the protocol and delegate versions a member understands and speaks. */
export type Versions = readonly [
  protocolMin: number,
  protocolMax: number,
  protocolNow: number,
  delegateMin: number,
  delegateMax: number,
  delegateNow: number,
];

export interface Member {
  name: string;
  address: Address;
  /** At most 512 bytes; ours holds the boot id, UTF-8. */
  meta: Uint8Array;
  versions: Versions;
  /** Raised by the member itself alone, unsigned 32 bit. */
  incarnation: number;
  state: MemberState;
  /** Of the last change of state. */
  sinceMs: number;
  /** While suspect or dead: members that have said so by themselves, ourselves included. */
  confirmations: number;
}

/** Messages, by memberlist's names; a packet holds one, or several (compound). Sequence numbers are u32. */
export type Message =
  /** `node`: whom it is meant for, '' where whoever listens there. `source` null: answer to where it came from. */
  | { kind: 'ping'; seq: number; node: string; source: Address | null; sourceName: string }
  | {
      kind: 'indirect';
      seq: number;
      target: Address;
      node: string;
      /** A nack is wanted where no ack comes in time. */
      nack: boolean;
      source: Address | null;
      sourceName: string;
    }
  | { kind: 'ack'; seq: number; payload: Uint8Array }
  | { kind: 'nack'; seq: number }
  | { kind: 'suspect'; incarnation: number; node: string; from: string }
  | {
      kind: 'alive';
      incarnation: number;
      node: string;
      address: Address;
      meta: Uint8Array;
      versions: Versions;
    }
  | { kind: 'dead'; incarnation: number; node: string; from: string };

/** One member in a push/pull exchange; of a remote one that is dead we only suspect it. */
export interface PushPullNode {
  name: string;
  address: Address;
  meta: Uint8Array;
  incarnation: number;
  state: MemberState;
  versions: Versions;
}

/** What a look over TCP found, beside the packets: memberlist's fallback, of which we tell more apart. */
export type StreamFinding =
  /** It answered: packets are lost, not the member. */
  | 'acked'
  /** Its host says that nobody listens there: the process is gone. */
  | 'refused'
  /** Its host took the connection, and nobody answers: the process hangs, or is stopped. */
  | 'hanging';

/** Times in ms, of a clock that does not jump. */
export type Input =
  | { kind: 'received'; message: Message; from: Address }
  /** Of `lookByStream` with this `seq`; it may come twice, `hanging` first. */
  | { kind: 'streamFound'; seq: number; finding: StreamFinding }
  /** What the other side of a push/pull exchange holds. */
  | { kind: 'merged'; nodes: readonly PushPullNode[] }
  /** The deadline; only here time alone makes a difference. */
  | { kind: 'tick' }
  | { kind: 'leave' };

export type Effect =
  /** One packet; `checksum`: the other side is known to understand it. */
  | { kind: 'send'; to: Address; messages: Message[]; checksum: boolean }
  /** Ping by TCP, until `withinMs` from now; found is told as `streamFound`. */
  | { kind: 'lookByStream'; to: Address; node: string; seq: number; withinMs: number }
  /** Exchange all that is known by TCP; what comes back is told as `merged`. */
  | { kind: 'pushPull'; to: Address; node: string }
  /** Of what a view shows; a change of incarnation alone is none. */
  | { kind: 'changed'; member: Member; from: MemberState | null }
  /** No longer listed: dead or left for long enough. */
  | { kind: 'reaped'; name: string }
  /** Somebody else uses a name that is alive, perhaps ours. Nothing was taken of it. */
  | { kind: 'conflict'; name: string; listed: Address; claimed: Address }
  | { kind: 'note'; note: Note };

/** For counters and logs. */
export type Note =
  /** We were accused, and said otherwise. */
  | 'refuted'
  /** A probe failed: we suspect by ourselves. */
  | 'probeFailed'
  /** Only TCP reached it. */
  | 'reachedByStreamAlone'
  /** This process stood still: what it would have judged in that time is void. */
  | 'paused'
  /** A member whose protocol versions do not hold ours was left out. */
  | 'versions'
  /** A member was left out, for there are as many as we keep. */
  | 'full';

export interface Profile {
  /** A probe each, of one member; it has failed after as long, times what awareness adds. */
  probeMs: number;
  /** Until others, and TCP, are asked as well. */
  probeTimeoutMs: number;
  indirect: number;
  gossipMs: number;
  gossipTo: number;
  /** Times log10(n + 1), rounded up: how often a piece of news is passed on. */
  retransmit: number;
  pushPullMs: number;
  /** Suspicion lasts so many probe intervals at least, times log10(n) above ten members. */
  suspicion: number;
  /** The same where our own look found … */
  suspicionOf: Readonly<Record<Exclude<StreamFinding, 'acked'>, number>>;
  /** Without confirmations it lasts so many times longer. */
  suspicionMax: number;
  /** Others that shall say so as well before the shortest time counts. */
  confirmations: number;
  awarenessMax: number;
  /** Up to so many members, ours included, are told at once and directly of what we find ourselves. */
  directTo: number;
  /** Dead ones are listed, and told, for so long. */
  deadMs: number;
  /** At most so long from one tick to the next; later by as much again is a pause of the process. */
  beatMs: number;
}

/** A piece of news that is passed on with whatever is sent. */
export interface Broadcast {
  /** The member it is about: later news of it replaces it. */
  name: string;
  message: Message;
  bytes: number;
  transmits: number;
  /** In the order in which they came. */
  id: number;
}

export interface Probe {
  seq: number;
  node: string;
  askOthersAtMs: number;
  failsAtMs: number;
  /** False until others were asked. */
  asked: boolean;
  nacksWanted: number;
  nacks: number;
  found: StreamFinding | null;
}

/** A ping on behalf of another member. */
export interface Relay {
  /** Ours. */
  seq: number;
  theirSeq: number;
  to: Address;
  nack: boolean;
  endsAtMs: number;
}

export interface Suspicion {
  /** Later than it began where it was prolonged because we stood still. */
  startMs: number;
  /** Confirmations wanted; fixed as it begins, like `members`. */
  wanted: number;
  /** How many were listed. */
  members: number;
  /** Who has said so by himself. */
  accusers: readonly string[];
  /** Our own look; null: none has failed yet. */
  looked: { found: StreamFinding | null } | null;
}

export interface State {
  name: string;
  profile: Profile;
  /** By name, ourselves included. */
  members: ReadonlyMap<string, Member>;
  suspicions: ReadonlyMap<string, Suspicion>;
  /** In which members are probed, and the next one's place. */
  order: readonly string[];
  next: number;
  queue: readonly Broadcast[];
  /** Of the next broadcast. */
  queued: number;
  probe: Probe | null;
  relays: readonly Relay[];
  sequence: number;
  awareness: number;
  leaving: boolean;
  tickedMs: number;
  probeAtMs: number;
  gossipAtMs: number;
  pushPullAtMs: number;
}

/** 0 ≤ x < 1. */
export type Random = () => number;
