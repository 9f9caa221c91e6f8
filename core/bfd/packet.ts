/**
 * The BFD control packet, RFC 5880 §4.1, without authentication:
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
 *   |                       My Discriminator                        |
 *   |                      Your Discriminator                       |
 *   |                    Desired Min TX Interval                    |
 *   |                   Required Min RX Interval                    |
 *   |                 Required Min Echo RX Interval                 |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */
import { BFD_STATES, type BfdState } from '../model/routing';

export const PACKET_BYTES = 24;

const VERSION = 1;
const POLL = 0x20;
const FINAL = 0x10;
const CONTROL_PLANE_INDEPENDENT = 0x08;
const AUTHENTICATION = 0x04;
const DEMAND = 0x02;
const MULTIPOINT = 0x01;
/** The P and F bits of byte 1: what differs between packets that say the same. */
export const POLL_AND_FINAL = POLL | FINAL;

/** Diag, by its number; 9 … 31 are reserved. */
export const DIAGNOSTICS = [
  'No Diagnostic',
  'Control Detection Time Expired',
  'Echo Function Failed',
  'Neighbor Signaled Session Down',
  'Forwarding Plane Reset',
  'Path Down',
  'Concatenated Path Down',
  'Administratively Down',
  'Reverse Concatenated Path Down',
] as const;

/** The peer said so. */
export const SIGNALED = DIAGNOSTICS.indexOf('Neighbor Signaled Session Down');

export const diagnosticName = (diagnostic: number): string =>
  DIAGNOSTICS[diagnostic] ?? `Reserved (${diagnostic})`;

export interface ControlPacket {
  /** 0 … 31. */
  diagnostic: number;
  state: BfdState;
  poll: boolean;
  final: boolean;
  /** C: it shares no fate with its control plane. */
  independent: boolean;
  /** D, as received; we never set it. */
  demand: boolean;
  multiplier: number;
  myDiscriminator: number;
  /** 0 = not known yet. */
  yourDiscriminator: number;
  /** Microseconds. */
  desiredMinTxUs: number;
  /** 0 = sends me nothing by time. */
  requiredMinRxUs: number;
  requiredMinEchoRxUs: number;
}

export type Malformed =
  | 'short'
  | 'version'
  | 'length'
  | 'multiplier'
  | 'multipoint'
  | 'authenticated'
  | 'myDiscriminator'
  | 'yourDiscriminator';

export type Decoded = { ok: true; packet: ControlPacket } | { ok: false; why: Malformed };

/**
 * The checks of §6.8.6 that need no session, in its order. `bytes` is the whole UDP payload; what
 * follows the length that the packet states is ignored.
 */
export function decode(bytes: Uint8Array): Decoded {
  if (bytes.length < PACKET_BYTES) return { ok: false, why: 'short' };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [first, flags, multiplier, length] = [0, 1, 2, 3].map((at) => view.getUint8(at)) as Head;
  const why = wrong(first, flags, multiplier, length, bytes.length);
  if (why !== null) return { ok: false, why };
  const state = BFD_STATES[flags >> 6] ?? 'adminDown';
  const [myDiscriminator, yourDiscriminator] = [view.getUint32(4), view.getUint32(8)];
  if (myDiscriminator === 0) return { ok: false, why: 'myDiscriminator' };
  // Only who does not hear us may leave it out.
  if (yourDiscriminator === 0 && state !== 'down' && state !== 'adminDown') {
    return { ok: false, why: 'yourDiscriminator' };
  }
  const packet = {
    diagnostic: first & 0x1f,
    state,
    poll: (flags & POLL) !== 0,
    final: (flags & FINAL) !== 0,
    independent: (flags & CONTROL_PLANE_INDEPENDENT) !== 0,
    demand: (flags & DEMAND) !== 0,
    multiplier,
    myDiscriminator,
    yourDiscriminator,
    desiredMinTxUs: view.getUint32(12),
    requiredMinRxUs: view.getUint32(16),
    requiredMinEchoRxUs: view.getUint32(20),
  };
  return { ok: true, packet };
}

type Head = [number, number, number, number];

function wrong(
  first: number,
  flags: number,
  multiplier: number,
  length: number,
  payload: number,
): Malformed | null {
  if (first >> 5 !== VERSION) return 'version';
  const authenticated = (flags & AUTHENTICATION) !== 0;
  if (length < (authenticated ? PACKET_BYTES + 2 : PACKET_BYTES) || length > payload) {
    return 'length';
  }
  if (multiplier === 0) return 'multiplier';
  if ((flags & MULTIPOINT) !== 0) return 'multipoint';
  if (authenticated) return 'authenticated';
  // Without authentication there is nothing that more bytes could hold.
  return length === PACKET_BYTES ? null : 'length';
}

/** Inverse of `decode` for what we may send. */
export function encode(packet: ControlPacket): Uint8Array {
  const bytes = new Uint8Array(PACKET_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, (VERSION << 5) | packet.diagnostic);
  view.setUint8(
    1,
    (BFD_STATES.indexOf(packet.state) << 6) |
      (packet.poll ? POLL : 0) |
      (packet.final ? FINAL : 0) |
      (packet.independent ? CONTROL_PLANE_INDEPENDENT : 0) |
      (packet.demand ? DEMAND : 0),
  );
  view.setUint8(2, packet.multiplier);
  view.setUint8(3, PACKET_BYTES);
  view.setUint32(4, packet.myDiscriminator);
  view.setUint32(8, packet.yourDiscriminator);
  view.setUint32(12, packet.desiredMinTxUs);
  view.setUint32(16, packet.requiredMinRxUs);
  view.setUint32(20, packet.requiredMinEchoRxUs);
  return bytes;
}
