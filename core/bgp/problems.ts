/** What keeps a session from coming up, as far as gobgpd's counters tell. Pure. */
import type { PeerState } from './types';

/** One sentence for people; null while it is established, or too early to say. */
export function peerProblem(
  { state, adminDown, prefixLimitExceeded, opens, notifications, config }: PeerState,
  downForMs: number,
): string | null {
  if (state === 'established') return null;
  if (prefixLimitExceeded) {
    return `it sent more than ${config.maxPrefixes} prefixes (maxPrefixes): its session is down, and tried anew now and then`;
  }
  if (adminDown) return 'disabled by hand in gobgpd: `gobgp neighbor ADDRESS enable`';
  if (downForMs < SETTLED_MS) return null;
  if (opens.received > 0 && notifications.sent > 0) {
    return `wrong AS number, or an OPEN that can't be taken: it does not speak for AS ${config.asn}`;
  }
  if (opens.sent > 0 && notifications.received > 0) {
    return 'it refuses our OPEN: it expects another AS number of us, or another neighbour';
  }
  if (opens.sent > 0)
    return 'it closes the connection: it has no such neighbour, or expects another TTL';
  return config.password === ''
    ? 'no connection: it does not answer, or expects a password'
    : 'no connection: wrong password, or it does not answer';
}

/** A session that just went may be back by then. */
const SETTLED_MS = 5_000;
