/**
 * The initiator of Seamless BFD (RFC 7880 §7.3) as a value: it asks a reflector, which keeps no session and
 * answers at once. There is no handshake and nothing to negotiate: an answer is that it is up.
 *
 *                   +--+
 *        AdminDown, |  |
 *        expired    |  V
 *                 +------+        Up         +------+
 *                 |      |------------------>|      |----+
 *                 | Down |                   |  Up  |    | Up
 *                 |      |<------------------|      |<---+
 *                 +------+     AdminDown,    +------+
 *                              expired
 *
 * The same inputs, effects and session as of the asynchronous machine (machine.ts).
 */
import { decode, SIGNALED } from './packet';
import { expectation, paceOf, samePace, UNKNOWN, wantedTimers } from './session';
import type { ChangeCause, Effect, Input, Session } from './types';

const DIAG = { none: 0, expired: 1, administrative: 7 } as const;

type Change = { to: Session['state']; diagnostic: number; cause: ChangeCause };

/** Pure: neither `session` nor `input` is changed. */
export function stepSeamless(
  session: Session,
  input: Input,
): { session: Session; effects: Effect[] } {
  const next = { ...session };
  const effects: Effect[] = [];
  const change = take(next, input, effects);
  if (change !== null) {
    next.diagnostic = change.diagnostic;
    if (next.state !== change.to) {
      const { to, diagnostic, cause } = change;
      effects.push({ kind: 'changed', from: next.state, to, diagnostic, cause });
      next.state = to;
    }
  }
  next.announced = next.inUse = wantedTimers(next.config, next.state);
  const pace = paceOf(next);
  if (input.kind === 'started' || !samePace(pace, paceOf(session))) {
    effects.push({ kind: 'pace', pace });
  }
  return { session: next, effects };
}

/** Null: it stays as it is. */
function take(session: Session, input: Input, effects: Effect[]): Change | null {
  const { state } = session;
  switch (input.kind) {
    case 'received':
      return receive(session, input.bytes, effects);
    case 'expired':
      if (state !== 'up') return null;
      session.remote = { ...UNKNOWN, diagnostic: session.remote.diagnostic };
      session.expect = null;
      return { to: 'down', diagnostic: DIAG.expired, cause: 'path' };
    case 'configured':
      session.config = { ...session.config, ...input.config };
      return null;
    case 'administered': {
      const cause = 'administrative';
      if (input.down) return { to: 'adminDown', diagnostic: DIAG.administrative, cause };
      return state === 'adminDown' ? { to: 'down', diagnostic: DIAG.none, cause } : null;
    }
    case 'started':
    case 'tick':
      return null;
  }
}

function receive(session: Session, bytes: Uint8Array, effects: Effect[]): Change | null {
  const { config, state } = session;
  const drop = (why: string): null => {
    effects.push({ kind: 'dropped', why });
    return null;
  };
  const decoded = decode(bytes);
  if (!decoded.ok) return drop(decoded.why);
  const { packet } = decoded;
  // A reflector clears it; what has it set asks, as we do.
  if (packet.demand) return drop('a question, no answer');
  if (packet.yourDiscriminator !== config.discriminator) return drop('another discriminator');
  if (packet.myDiscriminator !== config.reflector) return drop('another reflector');
  if (packet.state !== 'up' && packet.state !== 'adminDown') return drop('no state of a reflector');
  if (state === 'adminDown') return null;
  session.remote = {
    discriminator: packet.myDiscriminator,
    state: packet.state,
    diagnostic: packet.diagnostic,
    multiplier: packet.multiplier,
    desiredMinTxUs: packet.desiredMinTxUs,
    requiredMinRxUs: packet.requiredMinRxUs,
  };
  session.expect = expectation(bytes);
  if (packet.state === 'up') return { to: 'up', diagnostic: DIAG.none, cause: 'path' };
  return { to: 'down', diagnostic: SIGNALED, cause: 'administrative' };
}
