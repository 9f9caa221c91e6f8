/** What is known of each BGP session: its state, since when, and why it went. */
import { downCause, downReason, type PeerDown } from '../../core/bgp/notification';
import type { BgpEvent, PeerState } from '../../core/bgp/types';
import { toMonotonic, type Now } from '../../core/model/now';
import type { BgpState, FlapCause } from '../../core/model/routing';
import { monotonicMs, now } from '../clock';

/** A session came up or went down; once each, and not for what was so before anybody looked. */
export interface BgpSessionEvent {
  address: string;
  atMs: number;
  up: boolean;
  /** Empty when up. */
  reason: string;
  cause: FlapCause;
}

export interface Session {
  state: BgpState;
  /** Of the last change to or from established. */
  changed: Now;
  /** Monotonic ms, while it is idle. */
  idleSinceMs: number | null;
  /** As last listed; null before. */
  peer: PeerState | null;
}

/** gobgpd tells the reason on another connection. */
const REASON_WITHIN_MS = 300;
/** A reason that came before its event belongs to it. */
const REASON_FRESH_MS = 2_000;

interface Reason {
  text: string;
  cause: FlapCause;
}

/** `atMs`: when the session went, monotonic. */
interface Waiting {
  event: BgpSessionEvent;
  atMs: number;
  timer: NodeJS.Timeout;
}

export class BgpSessions {
  private readonly sessions = new Map<string, Session>();
  /** When each was heard: monotonic. */
  private readonly reasons = new Map<string, Reason & { atMs: number }>();
  private readonly waiting = new Map<string, Waiting>();

  constructor(private readonly tell: (event: BgpSessionEvent) => void) {}

  get(address: string): Session | null {
    return this.sessions.get(address) ?? null;
  }

  /** Of the watch. True where something changed. */
  take({ address, state }: Extract<BgpEvent, { kind: 'peer' }>): boolean {
    return this.setState(address, state, null);
  }

  /** The list as it is; whoever is not in it is forgotten. */
  list(peers: readonly PeerState[]): boolean {
    let changed = false;
    const present = new Set(peers.map(({ config }) => config.address));
    for (const peer of peers) {
      const { address } = peer.config;
      changed = this.setState(address, peer.state, peer) || changed;
      const session = this.sessions.get(address);
      if (session !== undefined) session.peer = peer;
    }
    for (const address of this.sessions.keys()) {
      if (present.has(address)) continue;
      changed = this.setState(address, 'idle', null) || changed;
      this.sessions.delete(address);
    }
    return changed;
  }

  /** Nobody knows any more: gobgpd is gone, or does not answer. No upstream's path is to blame for that. */
  lose(why: string): boolean {
    let changed = false;
    for (const [address, session] of this.sessions) {
      if (session.state === 'established') this.remember(address, why, 'consequence');
      changed = this.setState(address, 'unknown', null) || changed;
      session.peer = null;
    }
    return changed;
  }

  /** We are about to end it, and this is why. */
  expect(address: string, why: string): void {
    this.remember(address, why, 'administrative');
  }

  down(down: PeerDown): void {
    this.remember(down.address, downReason(down), downCause(down));
    const waiting = this.waiting.get(down.address);
    if (waiting === undefined) return;
    clearTimeout(waiting.timer);
    this.sayDown(waiting.event, waiting.atMs);
  }

  close(): void {
    for (const { timer } of this.waiting.values()) clearTimeout(timer);
    this.waiting.clear();
  }

  private setState(address: string, state: BgpState, peer: PeerState | null): boolean {
    const before = this.sessions.get(address);
    if (before?.state === state) return false;
    const at = now();
    const was = before?.state === 'established';
    const is = state === 'established';
    this.sessions.set(address, {
      state,
      changed: before === undefined ? listed(peer, at) : was === is ? before.changed : at,
      idleSinceMs: state === 'idle' ? at.monotonicMs : null,
      peer: before?.peer ?? null,
    });
    if (before !== undefined && was !== is) this.changed(address, at, is);
    return true;
  }

  private changed(address: string, at: Now, up: boolean): void {
    const event: BgpSessionEvent = { address, atMs: at.epochMs, up, reason: '', cause: 'path' };
    const atMs = at.monotonicMs;
    if (up) {
      // One that went and came back within the wait has to be told in that order.
      this.sayWaiting(address);
      this.reasons.delete(address);
      this.tell(event);
      return;
    }
    if (this.reasons.has(address)) return this.sayDown(event, atMs);
    const timer = setTimeout(() => this.sayDown(event, atMs), REASON_WITHIN_MS);
    this.waiting.set(address, { event, atMs, timer });
  }

  private sayWaiting(address: string): void {
    const waiting = this.waiting.get(address);
    if (waiting === undefined) return;
    clearTimeout(waiting.timer);
    this.sayDown(waiting.event, waiting.atMs);
  }

  private sayDown(event: BgpSessionEvent, atMs: number): void {
    const { address } = event;
    const reason = this.reasons.get(address);
    this.waiting.delete(address);
    this.reasons.delete(address);
    if (reason === undefined || atMs - reason.atMs > REASON_FRESH_MS) {
      this.tell({ ...event, reason: 'gobgpd gave no reason' });
    } else this.tell({ ...event, reason: reason.text, cause: reason.cause });
  }

  private remember(address: string, text: string, cause: FlapCause): void {
    this.reasons.set(address, { text, cause, atMs: monotonicMs() });
  }
}

/** As gobgpd says, which goes by the time of day. */
function listed(peer: PeerState | null, at: Now): Now {
  if (peer === null || peer.sinceMs === 0) return at;
  const monotonicMs = Math.min(toMonotonic(peer.sinceMs, at), at.monotonicMs);
  return { epochMs: peer.sinceMs, monotonicMs };
}
