/** The arithmetic of RFC 5880 §6.8.2, §6.8.4 and §6.8.7; microseconds throughout. */
import type { Session } from './types';

/** §6.8.3: no less than a second between packets while the session is not Up. */
export const SLOW_US = 1_000_000;

/** How often we send; 0: not by time. */
export function transmitUs({ state, remote, inUse }: Session): number {
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
export function detectUs({ state, remote, inUse }: Session): number {
  if (state === 'adminDown' || remote.discriminator === 0) return 0;
  return remote.multiplier * Math.max(inUse.requiredMinRxUs, remote.desiredMinTxUs);
}

/** The silence after which the peer takes us for gone: as `detectUs`, seen from there. */
export const detectedAfterUs = ({ config, remote, announced }: Session): number =>
  config.multiplier * Math.max(announced.desiredMinTxUs, remote.requiredMinRxUs);
