/** Why a session went down: BGP's own words (RFC 4271 §4.5, RFC 4486, RFC 9003) and what they weigh. */
import type { FlapCause } from '../model/routing';

export interface PeerDown {
  address: string;
  /** `nobody`: the connection was lost, or the neighbour was taken away by us. */
  by: 'us' | 'peer' | 'nobody';
  notification: Notification | null;
  /** It is no neighbour any more, or was added anew with another configuration. */
  deconfigured: boolean;
}

export interface Notification {
  code: number;
  subcode: number;
  /** RFC 9003; null = none. */
  communication: string | null;
}

export const CEASE = 6;

const CODES: Readonly<Record<number, string>> = {
  1: 'Message Header Error',
  2: 'OPEN Message Error',
  3: 'UPDATE Message Error',
  4: 'Hold Timer Expired',
  5: 'Finite State Machine Error',
  [CEASE]: 'Cease',
  7: 'ROUTE-REFRESH Message Error',
};

const SUBCODES: Readonly<Record<number, readonly string[]>> = {
  2: [
    '',
    'Unsupported Version Number',
    'Bad Peer AS',
    'Bad BGP Identifier',
    'Unsupported Optional Parameter',
    '',
    'Unacceptable Hold Time',
    'Unsupported Capability',
  ],
  [CEASE]: [
    '',
    'Maximum Number of Prefixes Reached',
    'Administrative Shutdown',
    'Peer De-configured',
    'Administrative Reset',
    'Connection Rejected',
    'Other Configuration Change',
    'Connection Collision Resolution',
    'Out of Resources',
    'Hard Reset',
    'BFD Down',
  ],
};

const SHUTDOWN = 2;
const DECONFIGURED = 3;
const RESET = 4;
const CONFIGURATION_CHANGE = 6;
const HARD_RESET = 9;
const ADMINISTRATIVE = new Set([SHUTDOWN, DECONFIGURED, RESET, CONFIGURATION_CHANGE]);

/** `Cease/Administrative Reset: "text"`. */
export function notificationName({ code, subcode, communication }: Notification): string {
  const name = CODES[code] ?? `error ${code}`;
  const detail = SUBCODES[code]?.[subcode] || (subcode === 0 ? '' : String(subcode));
  const said = communication === null ? '' : `: ${JSON.stringify(communication)}`;
  return `${name}${detail === '' ? '' : `/${detail}`}${said}`;
}

export function downReason({ by, notification, deconfigured }: PeerDown): string {
  if (deconfigured) return 'its configuration changed';
  if (notification === null) return 'the connection was lost';
  return `${by === 'peer' ? 'peer says' : 'we say'}: ${notificationName(notification)}`;
}

/** The one who resets by name is the bfd process: its own event tells of the path. */
export function downCause({ by, notification, deconfigured }: PeerDown): FlapCause {
  if (deconfigured) return 'administrative';
  if (notification?.code !== CEASE) return 'path';
  if (by === 'us' && notification.subcode === RESET) return 'consequence';
  return ADMINISTRATIVE.has(notification.subcode) ? 'administrative' : 'path';
}

/** Code, subcode and data of a NOTIFICATION; a hard reset (RFC 8538 §3.1) carries another one in it. */
export function notificationOf(code: number, subcode: number, data: Uint8Array): Notification {
  const [innerCode, innerSubcode] = data;
  if (code === CEASE && subcode === HARD_RESET && innerCode !== undefined) {
    return notificationOf(innerCode, innerSubcode ?? 0, data.subarray(2));
  }
  const speaks = code === CEASE && (subcode === SHUTDOWN || subcode === RESET);
  return { code, subcode, communication: speaks ? communicationOf(data) : null };
}

function communicationOf(data: Uint8Array): string | null {
  const length = data[0] ?? 0;
  if (length === 0 || data.length < 1 + length) return null;
  return utf8(data.subarray(1, 1 + length));
}

/** Whatever is no UTF-8 becomes U+FFFD. */
const utf8 = (bytes: Uint8Array): string => {
  const percents = Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
  try {
    return decodeURIComponent(percents);
  } catch {
    return Array.from(bytes, (byte) => (byte < 0x80 ? String.fromCharCode(byte) : '\ufffd')).join(
      '',
    );
  }
};
