/** Builders that the tests of this folder share. */
import { step } from './machine';
import { initialSession } from './session';
import { encode, type ControlPacket } from './packet';
import type { Effect, Session } from './types';

export const CONFIG = {
  discriminator: 0xc0de,
  desiredMinTxUs: 300_000,
  requiredMinRxUs: 300_000,
  multiplier: 3,
};

/** The discriminator of the peer, and of a reflector. */
export const REFLECTOR = 0x1a2b;

/** Of a peer with the same timers that is Up. */
export const packet = (fields: Partial<ControlPacket> = {}): ControlPacket => ({
  diagnostic: 0,
  state: 'up',
  poll: false,
  final: false,
  independent: false,
  demand: false,
  multiplier: 3,
  myDiscriminator: REFLECTOR,
  yourDiscriminator: CONFIG.discriminator,
  desiredMinTxUs: 300_000,
  requiredMinRxUs: 300_000,
  requiredMinEchoRxUs: 0,
  ...fields,
});

export const heard = (
  session: Session,
  fields: Partial<ControlPacket>,
  nowMs = 0,
): { session: Session; effects: Effect[] } =>
  step(session, { kind: 'received', bytes: encode(packet(fields)) }, nowMs);

/** A session that is Up, with its first Poll Sequence behind it. */
export function up(): Session {
  let session = initialSession(CONFIG);
  session = heard(session, { state: 'down', yourDiscriminator: 0 }).session;
  session = heard(session, { state: 'up' }).session;
  session = heard(session, { final: true }).session;
  return step(session, { kind: 'tick' }, 0).session;
}
