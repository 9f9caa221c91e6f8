/** The arithmetic of RFC 5880 §6.8.2, §6.8.4 and §6.8.7; microseconds throughout. */
import type { Session } from './types';

/** Asked by time, and answered by who keeps no session. */
const isSeamless = ({ config }: Session): boolean => config.reflector !== undefined;

/** §6.8.3: no less than a second between packets while the session is not Up. */
export const SLOW_US = 1_000_000;

/** How often we send; 0: not by time. */
export function transmitUs(session: Session): number {
  const { state, remote, inUse } = session;
  // Nobody waits for our questions: who is to ask nothing is silent.
  if (isSeamless(session) && state === 'adminDown') return 0;
  if (isSeamless(session)) return Math.max(inUse.desiredMinTxUs, remote.requiredMinRxUs);
  // §6.8.7: a peer that wants nothing gets nothing; one that is not known yet can't have said so.
  if (remote.requiredMinRxUs === 0 && state !== 'adminDown') return 0;
  return Math.max(inUse.desiredMinTxUs, remote.requiredMinRxUs);
}

/** Each pause is 75 … 100 % of the interval; of a multiplier of 1 at most 90 %. */
export const pauses = (
  intervalUs: number,
  multiplier: number,
): { minUs: number; maxUs: number } => ({
  minUs: Math.floor(intervalUs * 0.75),
  maxUs: Math.floor(intervalUs * (multiplier === 1 ? 0.9 : 1)),
});

/** The silence after which the peer is gone; 0: nobody to listen for. */
export function detectUs(session: Session): number {
  const { state, remote, inUse, config } = session;
  // What is missed are answers, and they come as often as is asked.
  if (isSeamless(session)) return state === 'up' ? config.multiplier * transmitUs(session) : 0;
  if (state === 'adminDown' || remote.discriminator === 0) return 0;
  return remote.multiplier * Math.max(inUse.requiredMinRxUs, remote.desiredMinTxUs);
}

/** The silence after which the peer takes us for gone: as `detectUs`, seen from there. */
export const detectedAfterUs = (session: Session): number => {
  const { config, remote, announced } = session;
  // A reflector takes nobody for anything.
  if (isSeamless(session)) return Infinity;
  return config.multiplier * Math.max(announced.desiredMinTxUs, remote.requiredMinRxUs);
};
