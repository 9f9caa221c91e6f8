/**
 * The lists of the audit and the sources of its floods, drawn by chance from a seed: each filter gets
 * the same, in each run.
 */
import { normalise } from '../../core/filter/algebra';
import type { Prefixes4 } from '../../core/filter/types';

/** `hosts`: /32 only, for filters that know nothing else. */
export type ListKind = 'mixed' | 'hosts';

export interface List {
  kind: ListKind;
  prefixes: Prefixes4;
}

/** Of a mixed list: 90 % /32, 7 % /24, the rest spread evenly over these. */
const HOST_SHARE = 0.9;
const NET_24_SHARE = 0.07;
const OTHER_LENGTHS = [18, 19, 20, 21, 22, 23, 25, 26, 27, 28, 29, 30] as const;
/** First octets that are no one's: this network, the audit's own links, loopback; from 224 multicast. */
const NOT_SOURCES = new Set([0, 10, 127]);
const FIRST_MULTICAST = 224;
const NO_V6 = { words: new Uint32Array(0), lengths: new Uint8Array(0) };

/** mulberry32: uniform in [0, 2^32). */
export function random32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

const fraction = (random: () => number): number => random() / 2 ** 32;

function unicast(random: () => number): number {
  for (;;) {
    const address = random();
    const first = address >>> 24;
    if (first < FIRST_MULTICAST && !NOT_SOURCES.has(first)) return address;
  }
}

function lengthOf(kind: ListKind, random: () => number): number {
  const drawn = fraction(random);
  if (kind === 'hosts' || drawn < HOST_SHARE) return 32;
  if (drawn < HOST_SHARE + NET_24_SHARE) return 24;
  return OTHER_LENGTHS[Math.floor(fraction(random) * OTHER_LENGTHS.length)] ?? 24;
}

/** The host bits of an address below a prefix of this length. */
const hostBits = (length: number): number =>
  length === 0 ? 0xffffffff : (2 ** (32 - length) - 1) >>> 0;

/** Normalised, and exactly so many: none covers another. */
export function drawList(kind: ListKind, entries: number, seed: number): List {
  const random = random32(seed);
  let prefixes: Prefixes4 = { addresses: new Uint32Array(0), lengths: new Uint8Array(0) };
  while (prefixes.lengths.length < entries) {
    const missing = entries - prefixes.lengths.length;
    const addresses = new Uint32Array(entries);
    const lengths = new Uint8Array(entries);
    addresses.set(prefixes.addresses);
    lengths.set(prefixes.lengths);
    for (let i = entries - missing; i < entries; i++) {
      const length = lengthOf(kind, random);
      addresses[i] = (unicast(random) & ~hostBits(length)) >>> 0;
      lengths[i] = length;
    }
    prefixes = normalise({ v4: { addresses, lengths }, v6: NO_V6 }).set.v4;
  }
  return { kind, prefixes };
}

function shuffle(values: Uint32Array, random: () => number): Uint32Array {
  for (let i = values.length - 1; i > 0; i--) {
    const j = Math.floor(fraction(random) * (i + 1));
    [values[i], values[j]] = [values[j] ?? 0, values[i] ?? 0];
  }
  return values;
}

/** One address of each prefix, in any order: sources that are spread uniformly over the list. */
export function sourcesListed({ prefixes }: List, seed: number): Uint32Array {
  const random = random32(seed);
  const sources = prefixes.addresses.map(
    (address, i) => (address | (random() & hostBits(prefixes.lengths[i] ?? 32))) >>> 0,
  );
  return shuffle(sources, random);
}

export function isListed({ prefixes: { addresses, lengths } }: List, address: number): boolean {
  let [low, high] = [0, addresses.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((addresses[middle] ?? 0) <= address) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return false;
  return (address & ~hostBits(lengths[low - 1] ?? 32)) >>> 0 === addresses[low - 1];
}

/** Sources that none of the lists holds. */
export function sourcesOutside(lists: readonly List[], count: number, seed: number): Uint32Array {
  const random = random32(seed);
  return new Uint32Array(count).map(() => {
    for (;;) {
      const address = unicast(random);
      if (!lists.some((list) => isListed(list, address))) return address;
    }
  });
}

const dotted = (address: number): string =>
  `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;

/** As every tool reads them: a host without its length. */
export const prefixText = (address: number, length: number): string =>
  length === 32 ? dotted(address) : `${dotted(address)}/${length}`;

export function texts({ prefixes: { addresses, lengths } }: List): string[] {
  return Array.from(addresses, (address, i) => prefixText(address, lengths[i] ?? 32));
}
