/** What both machines (machine.ts, seamless.ts) make of a session: how it begins, what it says, how it is paced. */
import type { BfdState } from '../model/routing';
import { type ControlPacket, encode, PACKET_BYTES, POLL_AND_FINAL } from './packet';
import { detectUs, pauses, SLOW_US, transmitUs } from './timers';
import type { Pace, Remote, Session, SessionConfig } from './types';

const NO_DIAGNOSTIC = 0;

/** §6.8.1: a peer nobody has heard of. */
export const UNKNOWN: Remote = {
  discriminator: 0,
  state: 'down',
  diagnostic: 0,
  multiplier: 0,
  desiredMinTxUs: 0,
  requiredMinRxUs: 1,
};

export function initialSession(config: SessionConfig): Session {
  const timers = wantedTimers(config, 'down');
  return {
    config,
    state: 'down',
    diagnostic: NO_DIAGNOSTIC,
    remote: UNKNOWN,
    announced: timers,
    inUse: timers,
    poll: { kind: 'none' },
    expect: null,
    hasty: { sinceMs: 0, sent: 0 },
    refused: null,
  };
}

/** What packets say while in `state`. */
export const wantedTimers = (config: SessionConfig, state: BfdState): Session['announced'] => ({
  desiredMinTxUs: state === 'up' ? config.desiredMinTxUs : Math.max(SLOW_US, config.desiredMinTxUs),
  // RFC 7880 §7.3.2: an answer is wanted, and nothing else.
  requiredMinRxUs: config.reflector === undefined ? config.requiredMinRxUs : 0,
});

export const ownPacket = ({
  config,
  state,
  diagnostic,
  remote,
  announced,
  poll,
}: Session): ControlPacket => ({
  diagnostic,
  state,
  poll: poll.kind === 'polling',
  final: false,
  independent: true,
  // Of Seamless BFD it is the mark of who asks.
  demand: config.reflector !== undefined,
  multiplier: config.multiplier,
  myDiscriminator: config.discriminator,
  yourDiscriminator: config.reflector ?? remote.discriminator,
  ...announced,
  requiredMinEchoRxUs: 0,
});

/** What the pacer is to do for a session as it is. */
export function paceOf(session: Session): Pace {
  const intervalUs = transmitUs(session);
  const { minUs, maxUs } = pauses(intervalUs, session.config.multiplier);
  return {
    discriminator: session.config.discriminator,
    packet: intervalUs === 0 ? null : encode(ownPacket(session)),
    pauseMinUs: minUs,
    pauseMaxUs: maxUs,
    detectUs: detectUs(session),
    expect: session.expect === null ? null : Uint8Array.from(session.expect),
  };
}

/** A packet that only repeats this one, P and F aside, is nothing new. */
export function expectation(bytes: Uint8Array): number[] {
  const kept = Array.from(bytes.subarray(0, PACKET_BYTES));
  kept[1] = (kept[1] ?? 0) & ~POLL_AND_FINAL;
  return kept;
}

export const samePace = (a: Pace, b: Pace): boolean =>
  a.pauseMinUs === b.pauseMinUs &&
  a.pauseMaxUs === b.pauseMaxUs &&
  a.detectUs === b.detectUs &&
  sameBytes(a.packet, b.packet) &&
  sameBytes(a.expect, b.expect);

const sameBytes = (a: Uint8Array | null, b: Uint8Array | null): boolean =>
  a === null || b === null ? a === b : a.every((byte, i) => byte === b[i]);
