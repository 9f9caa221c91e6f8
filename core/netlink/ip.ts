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

/** Hexadecimal text of a 16 bit group, made once: link-local addresses come by the thousand. */
const HEX: (string | undefined)[] = [];
const hex = (group: number): string => (HEX[group] ??= group.toString(16));

const groupAt = (bytes: Uint8Array, at: number, i: number): number =>
  (bytes[at + 2 * i]! << 8) | bytes[at + 2 * i + 1]!;

/** The longest run of zero groups, the first of equals, of at least two (RFC 5952 §4.2). */
function longestZeros(bytes: Uint8Array, at: number): { start: number; end: number } {
  const best = { start: 8, end: 8 };
  for (let i = 0; i < 8; i++) {
    const start = i;
    while (i < 8 && groupAt(bytes, at, i) === 0) i++;
    if (i - start > Math.max(1, best.end - best.start)) {
      best.start = start;
      best.end = i;
    }
  }
  return best;
}

function formatV6(bytes: Uint8Array, at: number): string {
  const zeros = longestZeros(bytes, at);
  if (zeros.start === 0 && zeros.end === 5 && groupAt(bytes, at, 5) === 0xffff) {
    return `::ffff:${formatV4(bytes, at + 12)}`;
  }
  let text = '';
  for (let i = 0; i < 8; i++) {
    if (i === zeros.start) {
      text += '::';
      i = zeros.end - 1;
    } else {
      text +=
        i === 0 || i === zeros.end ? hex(groupAt(bytes, at, i)) : `:${hex(groupAt(bytes, at, i))}`;
    }
  }
  return text;
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
