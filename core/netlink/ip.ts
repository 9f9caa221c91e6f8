/** IP addresses: network bytes ↔ canonical text (RFC 5952 for IPv6). */
import { Truncated } from './bytes';
import { AF } from './consts';

export const addressSize = (family: number): number => (family === AF.INET6 ? 16 : 4);

function formatV6(bytes: Uint8Array, at: number): string {
  const groups: number[] = [];
  for (let i = 0; i < 8; i++) groups.push((bytes[at + 2 * i]! << 8) | bytes[at + 2 * i + 1]!);
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
  return `${bytes[at]!}.${bytes[at + 1]!}.${bytes[at + 2]!}.${bytes[at + 3]!}`;
}

export interface IpAddress {
  family: number;
  bytes: Uint8Array;
}

function parseV4(text: string): number[] | null {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((p) => /^\d{1,3}$/.test(p) && Number(p) < 256))
    return null;
  return parts.map(Number);
}

function parseV6(text: string): number[] | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const sides = halves.map((half) => (half === '' ? [] : half.split(':')));
  const given = sides.flat();
  if (!given.every((g) => /^[0-9a-f]{1,4}$/i.test(g))) return null;
  const zeros = 8 - given.length;
  if (halves.length === 1 ? zeros !== 0 : zeros < 1) return null;
  const groups = [...sides[0]!, ...Array<string>(zeros).fill('0'), ...(sides[1] ?? [])];
  return groups.flatMap((g) => [parseInt(g, 16) >> 8, parseInt(g, 16) & 0xff]);
}

/** Null where the text is no address. An IPv6 address with a dotted tail is not accepted. */
export function parseAddress(text: string): IpAddress | null {
  const v6 = text.includes(':');
  const bytes = v6 ? parseV6(text) : parseV4(text);
  return bytes && { family: v6 ? AF.INET6 : AF.INET, bytes: Uint8Array.from(bytes) };
}

export interface IpPrefix extends IpAddress {
  prefixLength: number;
}

/** `address/length`; null where it is none. */
export function parsePrefix(text: string): IpPrefix | null {
  const [head, tail, ...rest] = text.split('/');
  if (head === undefined || tail === undefined || rest.length || !/^\d{1,3}$/.test(tail))
    return null;
  const address = parseAddress(head);
  const prefixLength = Number(tail);
  if (!address || prefixLength > address.bytes.length * 8) return null;
  return { ...address, prefixLength };
}
