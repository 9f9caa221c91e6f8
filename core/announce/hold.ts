/**
 * What a BFD or BGP session that went or came means for its neighbour, as a value (docs/notes/routing.md):
 *
 *   BFD down ── peer's or our administrator's wish ──────────► told, nothing else
 *            ── BGP was closed before, or gobgpd is away ────► a consequence: told, nothing else; but
 *                 where its session is found to have lived on, it is asked for a reset then
 *            ── else ──► BGP Established? reset ──► held, told as the path's
 *   held ── BFD up for holdDownMs, or BGP up and BFD silent for SILENT_MS ──► released
 *
 * Held: nothing is exported to it. Times in ms of a clock that does not jump.
 */
import type { BfdState, BgpState, FlapCause, RoutingEvent } from '../model/routing';

/** BFD is a hint that the path is dead; its absence is not (RFC 5882 §4.3). */
export const SILENT_MS = 60_000;

export interface Neighbour {
  address: string;
  /** Null: it has no BFD session of ours; its BGP is told, nothing is done. */
  holdDownMs: number | null;
  bgp: BgpState;
  establishedMs: number;
  bfdUp: boolean;
  /** Its BGP session ended while BFD was up, and has not come back since. */
  closedSinceUp: boolean;
  held: { why: string; sinceMs: number; untilMs: number | null } | null;
  /** A reset is under way; what happened is told once its outcome is known, unless it was (`isTold`). */
  resetting: { diagnostic: string; isTold: boolean; closed: Closed | null } | null;
  /** BFD went and gobgpd could not be asked: why, should the BGP session be found to have lived on. */
  unasked: string | null;
  /** We have reset its BGP session, which has not ended yet by what gobgpd tells. */
  wasReset: boolean;
}

interface Closed {
  adminDown: boolean;
  reason: string | null;
}

/** JSON-plain. */
export interface HoldState {
  neighbours: Record<string, Neighbour>;
  /** gobgpd is not there: what was known of BGP is old. */
  away: boolean;
}

export const NOBODY: HoldState = { neighbours: {}, away: true };

export type HoldInput =
  /** All BGP neighbours that have a BFD session by the lease. */
  | { kind: 'leased'; neighbours: readonly { address: string; holdDownMs: number }[] }
  | {
      kind: 'bfd';
      address: string;
      to: BfdState;
      diagnostic: string;
      cause: 'path' | 'administrative';
    }
  | { kind: 'bgp'; address: string; state: BgpState; adminDown: boolean; reason: string | null }
  /** All that gobgpd has: others are gone. */
  | {
      kind: 'peers';
      peers: readonly { address: string; state: BgpState; adminDown: boolean }[];
    }
  | { kind: 'bgpAway' }
  /** Answers the effect `reset`. `failed`: gobgpd did not answer. */
  | { kind: 'resetDone'; address: string; outcome: 'reset' | 'notEstablished' | 'failed' }
  | { kind: 'tick' };

type Told<E> = E extends unknown ? Omit<E, 'sequence' | 'atMs'> : never;
/** RoutingEvent before anybody has numbered and dated it. */
export type ToldEvent = Told<Extract<RoutingEvent, { peer: string }>>;

export type HoldEffect =
  /** Only if it is Established; answer with `resetDone`. */
  | { kind: 'reset'; address: string; communication: string }
  /** The whole set, new. */
  | { kind: 'held'; addresses: string[] }
  | { kind: 'event'; event: ToldEvent };

/** Pure: neither `state` nor `input` is changed. */
export function stepHold(
  state: HoldState,
  input: HoldInput,
  nowMs: number,
): { state: HoldState; effects: HoldEffect[] } {
  const turn = new Turn(state, nowMs);
  turn.take(input);
  turn.release();
  turn.forget();
  const held = heldOf(turn.state);
  if (held.join() !== heldOf(state).join()) turn.effects.push({ kind: 'held', addresses: held });
  return { state: turn.state, effects: turn.effects };
}

export const heldOf = ({ neighbours }: HoldState): string[] =>
  Object.values(neighbours)
    .filter(({ held }) => held !== null)
    .map(({ address }) => address)
    .sort();

/** When `tick` is due; Infinity: nothing happens by time alone. */
export const holdDeadline = ({ neighbours }: HoldState): number =>
  Math.min(...Object.values(neighbours).map(releaseMs));

function releaseMs({ held, bfdUp, bgp, establishedMs }: Neighbour): number {
  if (held === null) return Infinity;
  if (held.untilMs !== null) return held.untilMs;
  if (bfdUp || bgp !== 'established') return Infinity;
  return Math.max(held.sinceMs, establishedMs) + SILENT_MS;
}

const newcomer = (address: string): Neighbour => ({
  address,
  holdDownMs: null,
  bgp: 'unknown',
  establishedMs: 0,
  bfdUp: false,
  closedSinceUp: false,
  held: null,
  resetting: null,
  unasked: null,
  wasReset: false,
});

class Turn {
  readonly effects: HoldEffect[] = [];
  readonly state: HoldState;

  constructor(
    before: HoldState,
    private readonly nowMs: number,
  ) {
    this.state = { ...before, neighbours: { ...before.neighbours } };
  }

  take(input: HoldInput): void {
    switch (input.kind) {
      case 'leased':
        return this.leased(input.neighbours);
      case 'bfd': {
        const neighbour = this.state.neighbours[input.address];
        // A session without BGP concerns nobody here.
        if (neighbour?.holdDownMs == null) return;
        if (input.to === 'up') return this.bfdUp(neighbour);
        if (neighbour.bfdUp) this.bfdDown(neighbour, input.cause, input.diagnostic);
        return;
      }
      case 'bgp':
        return this.bgp(input);
      case 'peers':
        return this.peers(input.peers);
      case 'bgpAway':
        this.state.away = true;
        return;
      case 'resetDone':
        return this.resetDone(input.address, input.outcome);
      case 'tick':
    }
  }

  /** Lets go whose time has come. */
  release(): void {
    for (const neighbour of Object.values(this.state.neighbours)) {
      if (releaseMs(neighbour) > this.nowMs) continue;
      this.put(neighbour, { held: null });
      if (neighbour.bfdUp) this.tell({ kind: 'bfdUp', peer: neighbour.address });
    }
  }

  /** Who has no BFD by the lease is known only as long as there is something that can end. */
  forget(): void {
    for (const { address, holdDownMs, bgp } of Object.values(this.state.neighbours)) {
      if (holdDownMs === null && bgp !== 'established') delete this.state.neighbours[address];
    }
  }

  private leased(wanted: readonly { address: string; holdDownMs: number }[]): void {
    const holdDowns = new Map(wanted.map(({ address, holdDownMs }) => [address, holdDownMs]));
    for (const neighbour of Object.values(this.state.neighbours)) {
      if (holdDowns.has(neighbour.address) || neighbour.holdDownMs === null) continue;
      const { resetting } = neighbour;
      if (resetting?.closed != null) this.tellReset(neighbour, resetting.closed, true);
      const bfd = { holdDownMs: null, held: null, bfdUp: false, closedSinceUp: false };
      this.put(neighbour, { ...bfd, resetting: null, unasked: null });
    }
    for (const [address, holdDownMs] of holdDowns) this.put(this.of(address), { holdDownMs });
  }

  private bfdUp(neighbour: Neighbour): void {
    const { address, held, holdDownMs, resetting } = neighbour;
    const up = { bfdUp: true, closedSinceUp: false, unasked: null };
    if (resetting !== null) {
      // That it went is told first, once it is known what that meant.
      this.put(neighbour, up);
    } else if (held === null) {
      this.put(neighbour, up);
      this.tell({ kind: 'bfdUp', peer: address });
    } else {
      this.put(neighbour, { ...up, held: { ...held, untilMs: this.nowMs + (holdDownMs ?? 0) } });
    }
  }

  private bfdDown(neighbour: Neighbour, cause: FlapCause, diagnostic: string): void {
    const { address, bgp, closedSinceUp, held } = neighbour;
    // Where gobgpd went away the peer's BGP session ended, and took BFD along.
    if (cause === 'administrative' || closedSinceUp || this.state.away) {
      const mayLiveOn = cause === 'path' && !closedSinceUp && bgp === 'established';
      const unasked = mayLiveOn ? diagnostic : null;
      this.put(neighbour, { bfdUp: false, unasked });
      const why = cause === 'administrative' ? cause : 'consequence';
      this.tell({ kind: 'bfdDown', peer: address, diagnostic, cause: why });
      return;
    }
    if (bgp !== 'established') {
      const down = { ...neighbour, bfdUp: false };
      this.put(down, { held: this.holdOf(down, diagnostic) });
      this.tell({ kind: 'bfdDown', peer: address, diagnostic, cause: 'path' });
      return;
    }
    // Who was held and counted down goes on to be held; else that waits for what the reset finds.
    const still = held && { ...held, untilMs: null };
    this.reset({ ...neighbour, bfdUp: false, held: still }, diagnostic);
  }

  private reset(neighbour: Neighbour, diagnostic: string): void {
    const { address } = neighbour;
    const isTold = neighbour.unasked !== null && neighbour.held !== null;
    this.put(neighbour, { unasked: null, resetting: { diagnostic, isTold, closed: null } });
    this.effects.push({ kind: 'reset', address, communication: `BFD down: ${diagnostic}` });
  }

  private resetDone(address: string, outcome: 'reset' | 'notEstablished' | 'failed'): void {
    const neighbour = this.state.neighbours[address];
    if (neighbour?.resetting == null) return;
    const { diagnostic, isTold, closed } = neighbour.resetting;
    // The peer had closed BGP before BFD went: we only heard it in the other order.
    // Or gobgpd has gone, and both sessions with it.
    const before = outcome === 'notEstablished' || (outcome === 'failed' && this.state.away);
    const isHeld = !before || neighbour.held !== null;
    this.put(neighbour, {
      resetting: null,
      unasked: outcome === 'failed' && closed === null && !neighbour.bfdUp ? diagnostic : null,
      wasReset: outcome === 'reset' && closed === null,
      held: isHeld ? this.holdOf(neighbour, diagnostic) : null,
    });
    const cause = before ? 'consequence' : 'path';
    if (!isTold) this.tell({ kind: 'bfdDown', peer: address, diagnostic, cause });
    if (closed !== null) this.tellReset(neighbour, closed, !before);
    if (before && neighbour.bfdUp && neighbour.held === null) {
      this.tell({ kind: 'bfdUp', peer: address });
    }
  }

  /** BFD may have come back while gobgpd was asked. */
  private holdOf({ held, bfdUp, holdDownMs }: Neighbour, diagnostic: string): Neighbour['held'] {
    const untilMs = bfdUp ? this.nowMs + (holdDownMs ?? 0) : null;
    const why = `BFD went down: ${diagnostic}`;
    return { why, sinceMs: held?.sinceMs ?? this.nowMs, untilMs };
  }

  private bgp(input: Omit<Extract<HoldInput, { kind: 'bgp' }>, 'kind'>): void {
    const { address, state, adminDown, reason } = input;
    const neighbour = this.of(address);
    const was = neighbour.bgp === 'established';
    const is = state === 'established';
    this.put(neighbour, { bgp: state });
    if (was === is) return;
    // What there was to ask of it is over with that session.
    this.put(this.of(address), { unasked: null });
    const current = this.of(address);
    if (is) {
      this.put(current, { establishedMs: this.nowMs, closedSinceUp: false, wasReset: false });
      // That it went waits to be told: first, and this with it.
      if (!current.resetting?.closed) this.tell({ kind: 'bgpUp', peer: address });
      return;
    }
    const closed = { adminDown, reason };
    const { resetting, wasReset, bfdUp } = current;
    if (resetting !== null) {
      this.put(current, { resetting: { ...resetting, closed } });
      return;
    }
    // Held without BFD: BFD told of the path already.
    const consequence = wasReset || (current.held !== null && !bfdUp);
    this.put(current, { wasReset: false, closedSinceUp: bfdUp });
    this.tellClosed(address, closed, consequence);
  }

  private peers(peers: Extract<HoldInput, { kind: 'peers' }>['peers']): void {
    const there = new Set(peers.map(({ address }) => address));
    const reason = this.state.away ? 'gobgpd was away' : null;
    for (const { address, holdDownMs } of Object.values(this.state.neighbours)) {
      if (there.has(address)) continue;
      this.bgp({ address, state: 'unknown', adminDown: false, reason });
      if (holdDownMs === null) delete this.state.neighbours[address];
      else this.put(this.of(address), { wasReset: false });
    }
    for (const peer of peers) this.bgp({ ...peer, reason });
    this.state.away = false;
    for (const neighbour of Object.values(this.state.neighbours)) this.askNow(neighbour);
  }

  /** gobgpd was only slow, or hung: a session that went on all the time has a dead path now. */
  private askNow(neighbour: Neighbour): void {
    const { unasked, bgp } = neighbour;
    if (unasked && bgp === 'established') this.reset(neighbour, unasked);
  }

  /** What waited for the answer to a reset; it may have come back meanwhile. */
  private tellReset({ address, bgp }: Neighbour, closed: Closed, consequence: boolean): void {
    this.tellClosed(address, closed, consequence);
    if (bgp === 'established') this.tell({ kind: 'bgpUp', peer: address });
  }

  private tellClosed(address: string, { adminDown, reason }: Closed, consequence: boolean): void {
    const administrative = adminDown || (reason !== null && ADMINISTRATIVE.test(reason));
    const told = this.state.away || consequence;
    this.tell({
      kind: 'bgpDown',
      peer: address,
      reason: reason ?? (consequence ? 'BFD went down' : 'not told'),
      cause: told ? 'consequence' : administrative ? 'administrative' : 'path',
    });
  }

  private tell(event: ToldEvent): void {
    this.effects.push({ kind: 'event', event });
  }

  private of(address: string): Neighbour {
    return this.state.neighbours[address] ?? newcomer(address);
  }

  private put(neighbour: Neighbour, change: Partial<Neighbour>): void {
    this.state.neighbours[neighbour.address] = { ...neighbour, ...change };
  }
}

/** Cease subcodes (RFC 4486) that somebody asked for, by the names that routers print. */
const ADMINISTRATIVE = /administrative|de-?configured|other configuration change/i;
