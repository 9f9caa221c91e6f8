/**
 * Packets of memberlist, from the outside in:
 *
 *   [244, length, label] [encrypted: adapters/swim/cipher.ts] [12, crc32 BE] then one message, or a compound:
 *   7, count, count × u16 BE length, the messages
 */
import { utf8 } from '../model/hash';
import { crc32 } from './crc32';
import { Reader, Writer } from './msgpack';
import type { Message } from './types';
import { type Decoded, decodeMessage, encodeMessage, guarded, type Refusal, TYPE } from './wire';

/** config.go `UDPBufferSize`. */
export const PACKET_BYTES_MAX = 1_400;
const COMPOUND_BYTES = 2;
const CHECKSUM_BYTES = 5;
const PARTS_MAX = 255;
/** A part may be a compound or have a checksum itself, once each. */
const NESTED_MAX = 2;
export const LABEL_BYTES_MAX = 255;

/** For parts, each with its two bytes, in a packet whose label and encryption take `overhead`. */
export const roomIn = (overhead: number): number =>
  PACKET_BYTES_MAX - COMPOUND_BYTES - CHECKSUM_BYTES - overhead;

/** `messages`: one to 255. */
export function encodePacket(messages: readonly Message[], checksum: boolean): Uint8Array {
  const parts = messages.map(encodeMessage);
  const body = parts.length === 1 ? (parts[0] as Uint8Array) : compound(parts);
  if (!checksum) return body;
  return new Writer().uint(1, TYPE.checksum).uint(4, crc32(body)).raw(body).done();
}

function compound(parts: readonly Uint8Array[]): Uint8Array {
  const writer = new Writer().uint(1, TYPE.compound).uint(1, Math.min(parts.length, PARTS_MAX));
  for (const part of parts.slice(0, PARTS_MAX)) writer.uint(2, part.length);
  for (const part of parts.slice(0, PARTS_MAX)) writer.raw(part);
  return writer.done();
}

/** What could be read of a packet, and why of the rest it could not. */
export interface Packet {
  messages: Message[];
  refused: Refusal[];
}

export function decodePacket(bytes: Uint8Array): Packet {
  const packet: Packet = { messages: [], refused: [] };
  gather(bytes, packet, 0);
  return packet;
}

function gather(bytes: Uint8Array, packet: Packet, depth: number): void {
  const [type] = bytes;
  if (type !== TYPE.compound && type !== TYPE.checksum) {
    const decoded = decodeMessage(bytes);
    if (!decoded.ok) packet.refused.push(decoded.why);
    else if (decoded.message !== null) packet.messages.push(decoded.message);
    return;
  }
  const opened: Decoded<{ parts: Uint8Array[] }> =
    depth >= NESTED_MAX
      ? { ok: false, why: 'malformed' }
      : type === TYPE.compound
        ? splitCompound(bytes)
        : stripChecksum(bytes);
  if (!opened.ok) packet.refused.push(opened.why);
  else for (const part of opened.parts) gather(part, packet, depth + 1);
}

const stripChecksum = (bytes: Uint8Array): Decoded<{ parts: Uint8Array[] }> =>
  guarded(() => {
    const reader = new Reader(bytes, 1);
    const expected = reader.uint(4);
    const body = reader.take(bytes.length - reader.at);
    return crc32(body) === expected ? { ok: true, parts: [body] } : { ok: false, why: 'checksum' };
  });

const splitCompound = (bytes: Uint8Array): Decoded<{ parts: Uint8Array[] }> =>
  guarded(() => {
    const reader = new Reader(bytes, 1);
    const lengths = Array.from({ length: reader.uint(1) }, () => reader.uint(2));
    return { ok: true, parts: lengths.map((length) => reader.take(length)) };
  });

export const labelBytes = (label: string): Uint8Array => utf8(label);

/** label.go `AddLabelHeaderToPacket`; '' adds nothing. */
export function addLabel(label: Uint8Array, bytes: Uint8Array): Uint8Array {
  if (label.length === 0) return bytes;
  return new Writer().uint(1, TYPE.label).uint(1, label.length).raw(label).raw(bytes).done();
}

/** label.go `RemoveLabelHeaderFromPacket`: what follows, where the label is ours. */
export function stripLabel(ours: Uint8Array, bytes: Uint8Array): Decoded<{ rest: Uint8Array }> {
  return guarded<{ rest: Uint8Array }>(() => {
    const reader = new Reader(bytes);
    if (bytes.length === 0) return { ok: false, why: 'short' };
    const found = bytes[0] === TYPE.label ? takeLabel(reader) : new Uint8Array(0);
    if (!same(found, ours)) return { ok: false, why: 'label' };
    return { ok: true, rest: bytes.subarray(reader.at) };
  });
}

function takeLabel(reader: Reader): Uint8Array {
  reader.uint(1);
  return reader.take(reader.uint(1));
}

const same = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);
