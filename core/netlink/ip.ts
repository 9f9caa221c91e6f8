/**
 * IP addresses: network bytes ↔ canonical text (RFC 5952 for IPv6). Dumps carry thousands, so text is
 * made right from the bytes and not by way of the bigints of core/model/prefix.
 */
import { parseAddress, parsePrefix, type Address } from '../model/prefix';
import { Truncated } from './bytes';
import { AF } from './consts';

export const addressSize = (family: number): number => (family === AF.INET6 ? 16 : 4);

const formatV4 = (bytes: Uint8Array, at: number): string =>
  `${bytes[at]!}.${bytes[at + 1]!}.${bytes[at + 2]!}.${bytes[at + 3]!}`;

function formatV6(bytes: Uint8Array, at: number): string {
  const groups: number[] = [];
  for (let i = 0; i < 8; i++) groups.push((bytes[at + 2 * i]! << 8) | bytes[at + 2 * i + 1]!);
  if (groups.slice(0, 5).every((g) => g === 0) && groups[5] === 0xffff) {
    return `::ffff:${formatV4(bytes, at + 12)}`;
  }
  // The longest run of zeros, the first of equals, of at least two groups (RFC 5952 §4.2).
  let best = { start: 0, length: 1 };
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length++;
    if (length > best.length) best = { start: i, length };
  }
  const hex = (part: number[]): string => part.map((g) => g.toString(16)).join(':');
  if (best.length < 2) return hex(groups);
  return `${hex(groups.slice(0, best.start))}::${hex(groups.slice(best.start + best.length))}`;
}

/** Text of the address of `family` at `at`; throws Truncated where it does not fit below `end`. */
export function formatAddress(family: number, bytes: Uint8Array, at: number, end: number): string {
  if (end - at < addressSize(family)) throw new Truncated('address');
  if (family === AF.INET6) return formatV6(bytes, at);
  return formatV4(bytes, at);
}

export interface IpAddress {
  family: number;
  bytes: Uint8Array;
}

function toBytes({ family, bits }: Address): IpAddress {
  const af = family === 6 ? AF.INET6 : AF.INET;
  const bytes = new Uint8Array(addressSize(af));
  for (let i = bytes.length - 1, rest = bits; i >= 0; i--, rest >>= 8n)
    bytes[i] = Number(rest & 255n);
  return { family: af, bytes };
}

/** Null where the text is no address. */
export function addressBytes(text: string): IpAddress | null {
  const address = parseAddress(text);
  return address && toBytes(address);
}

export interface IpPrefix extends IpAddress {
  prefixLength: number;
}

/** Of `address/length`, host bits kept; null where it is none. */
export function prefixBytes(text: string): IpPrefix | null {
  const prefix = parsePrefix(text);
  return prefix && { ...toBytes(prefix), prefixLength: prefix.length };
}
