/**
 * A BFD session in asynchronous mode, RFC 5880: `step(session, input, now)` gives the next session and
 * what is to be done. RFC 5881 and 5883 differ in sockets alone.
 *
 * Left out: demand mode and authentication (refused with a reason), the echo function, the passive role.
 * A Poll Sequence tells of timers only while Up: in other states they count at once, on both sides.
 */
import type { BfdState } from '../model/routing';
import { type ControlPacket, decode, encode, type Malformed, SIGNALED } from './packet';
import { stepSeamless } from './seamless';
import { expectation, ownPacket, paceOf, samePace, UNKNOWN, wantedTimers } from './session';
import type { ChangeCause, Effect, Input, Remote, Session } from './types';

/**
 * §6.2; the arrows are what the peer says, and `expired` its silence.
 *
 *                              +--+
 *                              |  | Up, AdminDown, expired
 *                              |  V
 *                      Down  +------+  Init
 *               +------------|      |------------+
 *               |            | Down |            |
 *               |  +-------->|      |<--------+  |
 *               |  |         +------+         |  |
 *               |  | AdminDown,     AdminDown,|  |
 *               |  | expired        Down,     |  |
 *               V  |                expired   |  V
 *             +------+                      +------+
 *        +----|      |                      |      |----+
 *    Down|    | Init |--------------------->|  Up  |    |Init, Up
 *        +--->|      | Init, Up             |      |<---+
 *             +------+                      +------+
 *
 * AdminDown of our own is left by our administrator alone.
 */
const TRANSITIONS: Record<BfdState, Record<BfdState, BfdState>> = {
  adminDown: { adminDown: 'adminDown', down: 'adminDown', init: 'adminDown', up: 'adminDown' },
  down: { adminDown: 'down', down: 'init', init: 'up', up: 'down' },
  init: { adminDown: 'down', down: 'init', init: 'up', up: 'up' },
  up: { adminDown: 'down', down: 'down', init: 'up', up: 'up' },
};

export const nextState = (ours: BfdState, theirs: BfdState): BfdState => TRANSITIONS[ours][theirs];

/** How long a peer in demand mode is left alone before it is tried again. */
export const REFUSED_MS = 60_000;

/** A session that comes up needs two. */
const HASTY_MAX = 8;

const DIAG = { none: 0, expired: 1, signaled: SIGNALED, administrative: 7 } as const;

/** Pure: neither `session` nor `input` is changed. */
export function step(
  session: Session,
  input: Input,
  nowMs: number,
): { session: Session; effects: Effect[] } {
  if (session.config.reflector !== undefined) return stepSeamless(session, input);
  const turn: Turn = { session: { ...session }, effects: [], nowMs };
  const answered = take(turn, input);
  settle(turn);
  retime(turn);
  const { state, diagnostic, remote } = turn.session;
  // Another packet like the last one is news where it would change something.
  if (nextState(state, remote.state) !== state) turn.session.expect = null;
  // §6.8.7: what is new is told at once; a Final has told it already.
  const changed = state !== session.state || diagnostic !== session.diagnostic;
  if (changed && !answered && mayHaste(turn)) {
    turn.effects.push({ kind: 'send', packet: encode(tellingOf(turn.session, session, input)) });
  }
  const pace = paceOf(turn.session);
  if (input.kind === 'started' || !samePace(pace, paceOf(session))) {
    turn.effects.push({ kind: 'pace', pace });
  }
  return { session: turn.session, effects: turn.effects };
}

/**
 * The packet that tells of a change. Of an expiry it tells with the discriminator that is void from then on
 * (§6.8.1): FRR takes no packet without one as long as it is up, and would notice only by our silence.
 */
function tellingOf(after: Session, before: Session, input: Input): ControlPacket {
  const packet = ownPacket(after);
  if (input.kind !== 'expired') return packet;
  return { ...packet, yourDiscriminator: before.remote.discriminator };
}

/** When `tick` is due; Infinity: nothing happens by this clock alone. */
export const deadline = ({ poll, refused }: Session): number =>
  Math.min(poll.kind === 'settling' ? poll.untilMs : Infinity, refused?.untilMs ?? Infinity);

interface Turn {
  session: Session;
  effects: Effect[];
  nowMs: number;
}

/** True where the packet that has to tell of a change is already among the effects. */
function take(turn: Turn, input: Input): boolean {
  const { session } = turn;
  switch (input.kind) {
    case 'received':
      return receive(turn, input.bytes);
    case 'expired':
      expire(turn);
      return false;
    case 'configured':
      session.config = { ...session.config, ...input.config };
      return false;
    case 'administered':
      session.refused = null;
      if (input.down) become(turn, 'adminDown', DIAG.administrative, 'administrative');
      else if (session.state === 'adminDown') become(turn, 'down', DIAG.none, 'administrative');
      return false;
    case 'started':
    case 'tick':
      return false;
  }
}

/** §6.8.6, in its order. */
function receive(turn: Turn, bytes: Uint8Array): boolean {
  const { session } = turn;
  const decoded = decode(bytes);
  if (!decoded.ok) return drop(turn, decoded.why);
  const { packet } = decoded;
  const { yourDiscriminator } = packet;
  if (yourDiscriminator !== 0 && yourDiscriminator !== session.config.discriminator) {
    return drop(turn, 'another discriminator');
  }
  if (packet.demand) return refuse(turn);
  if (session.refused?.untilMs === null) session.refused = null;
  session.remote = remoteOf(packet);
  if (packet.final && session.poll.kind === 'polling') confirmed(turn, session.poll.sinceMs);
  const to = nextState(session.state, packet.state);
  const before = session.state;
  if (to === 'down' && before !== 'down') {
    const cause = packet.state === 'adminDown' ? 'administrative' : 'path';
    become(turn, to, DIAG.signaled, cause);
  } else if (to !== before) {
    become(turn, to, to === 'up' ? DIAG.none : session.diagnostic, 'path');
  }
  session.expect = expectation(bytes);
  if (!packet.poll || to === 'adminDown') return false;
  // The timers that go with the state that was just reached belong into the answer.
  retime(turn);
  const final = { ...ownPacket(session), poll: false, final: true };
  turn.effects.push({ kind: 'send', packet: encode(final) });
  return true;
}

const remoteOf = (packet: ControlPacket): Remote => ({
  discriminator: packet.myDiscriminator,
  state: packet.state,
  diagnostic: packet.diagnostic,
  multiplier: packet.multiplier,
  desiredMinTxUs: packet.desiredMinTxUs,
  requiredMinRxUs: packet.requiredMinRxUs,
});

function drop(turn: Turn, why: Malformed | 'another discriminator'): boolean {
  turn.effects.push({ kind: 'dropped', why });
  if (why === 'authenticated' && turn.session.state !== 'up' && turn.session.refused === null) {
    turn.session.refused = { why: 'the peer authenticates its packets', untilMs: null };
  }
  return false;
}

/** To end as administratively down tells the peer that this is no failure of the path. */
function refuse(turn: Turn): boolean {
  turn.effects.push({ kind: 'dropped', why: 'demand mode' });
  const untilMs = turn.nowMs + REFUSED_MS;
  if (turn.session.state === 'adminDown') return false;
  turn.session.refused = { why: 'the peer asks for demand mode', untilMs };
  become(turn, 'adminDown', DIAG.administrative, 'administrative');
  return false;
}

/** §6.8.4; a peer that is silent for so long has no discriminator any more (§6.8.1). */
function expire(turn: Turn): void {
  const { session } = turn;
  if (session.state === 'adminDown') return;
  session.remote = { ...UNKNOWN, diagnostic: session.remote.diagnostic };
  session.expect = null;
  if (session.state !== 'down') become(turn, 'down', DIAG.expired, 'path');
}

function become(turn: Turn, to: BfdState, diagnostic: number, cause: ChangeCause): void {
  const { session } = turn;
  const from = session.state;
  session.diagnostic = diagnostic;
  if (from === to) return;
  session.state = to;
  turn.effects.push({ kind: 'changed', from, to, diagnostic, cause });
}

/** The peer has heard of what is announced. */
function confirmed({ session, nowMs }: Turn, sinceMs: number): void {
  session.inUse = session.announced;
  session.poll = { kind: 'settling', untilMs: nowMs + (nowMs - sinceMs) };
}

/** What is over by time. */
function settle(turn: Turn): void {
  const { session, nowMs } = turn;
  const { poll, refused } = session;
  if (poll.kind === 'settling' && nowMs >= poll.untilMs) session.poll = { kind: 'none' };
  if (refused?.untilMs == null || nowMs < refused.untilMs) return;
  session.refused = null;
  become(turn, 'down', DIAG.none, 'administrative');
}

/** No more than HASTY_MAX in a second; the next packet by time tells it as well. */
function mayHaste({ session, nowMs }: Turn): boolean {
  const { sinceMs, sent } = session.hasty;
  const fresh = nowMs - sinceMs >= 1_000;
  if (!fresh && sent >= HASTY_MAX) return false;
  session.hasty = fresh ? { sinceMs: nowMs, sent: 1 } : { sinceMs, sent: sent + 1 };
  return true;
}

/**
 * §6.8.3. While Up, what makes the peer wait longer for us, and us shorter for the peer, counts only
 * once the peer has confirmed it; one Poll Sequence at a time.
 */
function retime({ session, nowMs }: Turn): void {
  const wanted = wantedTimers(session.config, session.state);
  const up = session.state === 'up';
  if (!up) session.poll = { kind: 'none' };
  const { announced, inUse } = session;
  const same =
    wanted.desiredMinTxUs === announced.desiredMinTxUs &&
    wanted.requiredMinRxUs === announced.requiredMinRxUs;
  if (!up) {
    session.announced = session.inUse = wanted;
  } else if (!same && session.poll.kind === 'none') {
    session.announced = wanted;
    session.inUse = {
      desiredMinTxUs: Math.min(inUse.desiredMinTxUs, wanted.desiredMinTxUs),
      requiredMinRxUs: Math.max(inUse.requiredMinRxUs, wanted.requiredMinRxUs),
    };
    session.poll = { kind: 'polling', sinceMs: nowMs };
  }
}
