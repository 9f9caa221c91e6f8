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

/** Messages, by memberlist's names; a packet holds one, or several (compound). */
export type Message =
  | { kind: 'ping'; seq: number; node: string; source: Address; sourceName: string }
  | {
      kind: 'indirect';
      seq: number;
      target: Address;
      node: string;
      nack: boolean;
      source: Address;
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
