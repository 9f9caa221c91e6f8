/**
 * The announcement lease (design §5): what the agent hands the bfd process four times a second. The bfd
 * process alone writes paths into gobgpd; it goes by the last lease, also over its own restarts, and
 * lets each path go as `onExpiry` says when the lease was not renewed for `graceMs`.
 */
import type { Stance } from '../model/anycast';
import type { BfdPeerSpec } from '../model/bgp';
import type { BfdSessionView, BgpState } from '../model/routing';

export interface LeasedPath {
  prefix: string;
  service: string;
  stance: Stance;
  /** RFC 1997 communities as u32; GRACEFUL_SHUTDOWN is added by the stance. */
  communities: number[];
  /** Times the own AS number is put before the path; DEPREFER_PREPEND is added by the stance. */
  prepend: number;
  onExpiry: 'deprefer' | 'withdraw';
}

export interface Lease {
  /** Own AS number: what is prepended. */
  asn: number;
  graceMs: number;
  paths: LeasedPath[];
  /** Sessions that the bfd process shall keep, whole: others end with AdminDown. */
  sessions: LeasedSession[];
}

export interface LeasedSession extends Omit<BfdPeerSpec, 'local' | 'outOfService'> {
  /** Its BGP neighbour goes with it: reset on down, held until the hold-down is over. */
  bgp: boolean;
  /** Address to send from; null = the kernel's choice. */
  local: string | null;
}

/** What the bfd process tells: once when somebody attaches, and at each change. */
export interface BfdReport {
  atMs: number;
  realtime: { held: boolean; problem: string | null };
  gobgpd: { problem: string | null };
  sessions: BfdSessionView[];
  peers: {
    address: string;
    state: BgpState;
    held: { untilMs: number | null; why: string } | null;
  }[];
  /** As they are in gobgpd. */
  paths: { prefix: string; stance: Stance }[];
  /** Null while it goes by a lease that is fresh. */
  expired: { sinceMs: number } | null;
}
