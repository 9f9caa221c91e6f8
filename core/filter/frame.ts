/** A packet made of words, to ask a filter what would become of it. */
import type { Address } from '../model/prefix';

export interface PacketWords {
  from: Address;
  /** Of the same family. */
  to: Address;
  /** IP protocol number. */
  protocol: number;
  /** Of TCP and UDP. */
  sourcePort: number;
  destinationPort: number;
  /** Of TCP: bits as in RFC 9293. */
  tcpFlags: number;
  /** Bytes of the IP packet, its header included; less than the headers need counts as what they need. */
  length: number;
}

const ETHERNET = 14;
const HEADER = { 4: 20, 6: 40 } as const;
const TCP = 6;
const UDP = 17;
const ICMP = 1;
const ICMP6 = 58;
const TTL = 64;

const transportBytes = (protocol: number): number =>
  protocol === TCP ? 20 : [UDP, ICMP, ICMP6].includes(protocol) ? 8 : 0;

function writeAddress(view: DataView, at: number, { bits, family }: Address): void {
  for (let i = 0, last = family === 4 ? 3 : 15; i <= last; i += 1) {
    view.setUint8(at + i, Number((bits >> BigInt(8 * (last - i))) & 0xffn));
  }
}

/** RFC 1071, of the header alone. */
function checksum(view: DataView, at: number, bytes: number): number {
  let sum = 0;
  for (let i = 0; i < bytes; i += 2) sum += view.getUint16(at + i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** RFC 791. */
function writeIPv4(view: DataView, words: PacketWords, length: number): void {
  view.setUint16(12, 0x0800);
  view.setUint8(ETHERNET, 0x45);
  view.setUint16(ETHERNET + 2, length);
  view.setUint8(ETHERNET + 8, TTL);
  view.setUint8(ETHERNET + 9, words.protocol);
  writeAddress(view, ETHERNET + 12, words.from);
  writeAddress(view, ETHERNET + 16, words.to);
  view.setUint16(ETHERNET + 10, checksum(view, ETHERNET, HEADER[4]));
}

/** RFC 8200. */
function writeIPv6(view: DataView, words: PacketWords, length: number): void {
  view.setUint16(12, 0x86dd);
  view.setUint8(ETHERNET, 0x60);
  view.setUint16(ETHERNET + 4, length - HEADER[6]);
  view.setUint8(ETHERNET + 6, words.protocol);
  view.setUint8(ETHERNET + 7, TTL);
  writeAddress(view, ETHERNET + 8, words.from);
  writeAddress(view, ETHERNET + 24, words.to);
}

/** Ports, and what else a filter looks at; nobody checks sums that it does not. */
function writeTransport(view: DataView, at: number, words: PacketWords, bytes: number): void {
  const { protocol, sourcePort, destinationPort, tcpFlags } = words;
  if (protocol === TCP || protocol === UDP) {
    view.setUint16(at, sourcePort);
    view.setUint16(at + 2, destinationPort);
  }
  if (protocol === UDP) view.setUint16(at + 4, bytes);
  if (protocol === TCP) view.setUint16(at + 12, 0x5000 | tcpFlags);
  if (protocol === ICMP) view.setUint8(at, 8);
  if (protocol === ICMP6) view.setUint8(at, 128);
}

/** From the Ethernet header on. */
export function frameOf(words: PacketWords): Uint8Array {
  const { family } = words.from;
  const header = HEADER[family];
  const length = Math.max(words.length, header + transportBytes(words.protocol));
  const view = new DataView(new ArrayBuffer(ETHERNET + length));
  view.setUint8(0, 0x02);
  view.setUint8(6, 0x02);
  (family === 4 ? writeIPv4 : writeIPv6)(view, words, length);
  writeTransport(view, ETHERNET + header, words, length - header);
  return new Uint8Array(view.buffer);
}

export const hexOf = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
