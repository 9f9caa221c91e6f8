/**
 * IPv4 and IPv6 addresses and prefixes: parsed strictly, printed canonically (RFC 5952 for IPv6).
 * IPv4 octets with a leading zero are refused: some readers take them for octal.
 */

export type Family = 4 | 6;

export interface Address {
  family: Family;
  /** 32 or 128 bits, network order. */
  bits: bigint;
}

export interface Prefix extends Address {
  /** 0 … 32 or 0 … 128. */
  length: number;
}

const WIDTH = { 4: 32, 6: 128 } as const;

const parseIPv4 = (text: string): bigint | null => {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  let bits = 0n;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null;
    bits = (bits << 8n) | BigInt(part);
  }
  return bits;
};

/** The 16 bit groups of one side of `::`; a dotted IPv4 tail counts as two. Null: malformed. */
const parseGroups = (text: string, mayEndInIPv4: boolean): bigint[] | null => {
  if (text === '') return [];
  const groups: bigint[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (mayEndInIPv4 && i === parts.length - 1 && part.includes('.')) {
      const tail = parseIPv4(part);
      if (tail === null) return null;
      groups.push(tail >> 16n, tail & 0xffffn);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(BigInt(`0x${part}`));
    } else return null;
  }
  return groups;
};

const joinGroups = (groups: readonly bigint[]): bigint =>
  groups.reduce((bits, group) => (bits << 16n) | group, 0n);

const parseIPv6 = (text: string): bigint | null => {
  const sides = text.split('::');
  if (sides.length > 2) return null;
  const [left = '', right] = sides;
  const head = parseGroups(left, right === undefined);
  const tail = parseGroups(right ?? '', true);
  if (head === null || tail === null) return null;
  if (right === undefined) return head.length === 8 ? joinGroups(head) : null;
  if (head.length + tail.length > 7) return null;
  const zeros = new Array<bigint>(8 - head.length - tail.length).fill(0n);
  return joinGroups([...head, ...zeros, ...tail]);
};

export const parseAddress = (text: string): Address | null => {
  const family: Family = text.includes(':') ? 6 : 4;
  const bits = family === 6 ? parseIPv6(text) : parseIPv4(text);
  return bits === null ? null : { family, bits };
};

/** `address/length`, host bits kept: the form of an interface address. */
export const parsePrefix = (text: string): Prefix | null => {
  const slash = text.indexOf('/');
  if (slash < 0) return null;
  const address = parseAddress(text.slice(0, slash));
  const lengthText = text.slice(slash + 1);
  if (address === null || !/^(0|[1-9]\d{0,2})$/.test(lengthText)) return null;
  const length = Number(lengthText);
  return length <= WIDTH[address.family] ? { ...address, length } : null;
};

const formatIPv4 = (bits: bigint): string =>
  [24n, 16n, 8n, 0n].map((shift) => ((bits >> shift) & 0xffn).toString()).join('.');

/** Start and length of the longest run of zero groups, at least two long (RFC 5952 §4.2). */
const longestZeros = (groups: readonly string[]): { start: number; length: number } => {
  let best = { start: -1, length: 1 };
  for (let start = 0; start < groups.length; start += 1) {
    let end = start;
    while (groups[end] === '0') end += 1;
    if (end - start > best.length) best = { start, length: end - start };
  }
  return best;
};

const IPV4_MAPPED = 0xffffn;

const formatIPv6 = (bits: bigint): string => {
  if (bits >> 32n === IPV4_MAPPED) return `::ffff:${formatIPv4(bits & 0xffffffffn)}`;
  const groups = [112n, 96n, 80n, 64n, 48n, 32n, 16n, 0n].map((shift) =>
    ((bits >> shift) & 0xffffn).toString(16),
  );
  const zeros = longestZeros(groups);
  if (zeros.start < 0) return groups.join(':');
  const left = groups.slice(0, zeros.start).join(':');
  const right = groups.slice(zeros.start + zeros.length).join(':');
  return `${left}::${right}`;
};

export const formatAddress = ({ family, bits }: Address): string =>
  family === 4 ? formatIPv4(bits) : formatIPv6(bits);

export const formatPrefix = (prefix: Prefix): string => `${formatAddress(prefix)}/${prefix.length}`;

const hostBits = ({ family, length }: Prefix): bigint => BigInt(WIDTH[family] - length);

/** The prefix with its host bits cleared. */
export const network = (prefix: Prefix): Prefix => ({
  ...prefix,
  bits: (prefix.bits >> hostBits(prefix)) << hostBits(prefix),
});

export const isNetwork = (prefix: Prefix): boolean => network(prefix).bits === prefix.bits;

export const contains = (prefix: Prefix, address: Address): boolean =>
  prefix.family === address.family &&
  prefix.bits >> hostBits(prefix) === address.bits >> hostBits(prefix);

export const overlaps = (a: Prefix, b: Prefix): boolean =>
  contains(a.length <= b.length ? a : b, a.length <= b.length ? b : a);

/** fe80::/10 (RFC 4291 §2.5.6): every interface has one of its own making. */
export const isLinkLocal = (address: Address): boolean =>
  address.family === 6 && address.bits >> 118n === 0x3fan;

/**
 * Whether an interface can bear this address: not the network's own (all host bits zero) and not
 * the IPv4 broadcast. /31 and /127 have neither (RFC 3021, RFC 6164), nor have /32 and /128.
 */
export const isHostAddress = (prefix: Prefix): boolean => {
  const free = hostBits(prefix);
  if (free <= 1n) return true;
  const host = prefix.bits & ((1n << free) - 1n);
  return host !== 0n && !(prefix.family === 4 && host === (1n << free) - 1n);
};

/** Loopback, multicast, unspecified: no interface of ours bears these. */
export const isUnicast = ({ family, bits }: Address): boolean => {
  if (family === 4) return bits >> 24n !== 0n && bits >> 24n !== 127n && bits >> 28n < 0xen;
  return bits > 1n && bits >> 120n !== 0xffn;
};

const canonical = <T>(parse: (text: string) => T | null, format: (value: T) => string) => {
  return (text: string): string => {
    const value = parse(text);
    return value === null ? text : format(value);
  };
};

/** The canonical text; what cannot be parsed is returned as it is. */
export const canonicalPrefix = canonical(parsePrefix, formatPrefix);
export const canonicalAddress = canonical(parseAddress, formatAddress);
