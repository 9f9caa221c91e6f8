/**
 * Sets of prefixes as values. Packed arrays, not objects: a list may hold a million of them.
 *
 * "Normalised" means sorted by address, then by length; host bits zero; no prefix covered by another
 * one of the same set. Only normalised sets are handed about.
 */

/** IPv4: `addresses[i]/lengths[i]`, addresses as numbers in host order. */
export interface Prefixes4 {
  readonly addresses: Uint32Array;
  readonly lengths: Uint8Array;
}

/** IPv6: four words a prefix, the most significant first. */
export interface Prefixes6 {
  readonly words: Uint32Array;
  readonly lengths: Uint8Array;
}

export interface PrefixSet {
  readonly v4: Prefixes4;
  readonly v6: Prefixes6;
}

/** One prefix: `bytes` holds 4 or 16 of them in network order, host bits zero. */
export interface Prefix {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
  readonly length: number;
}

/** One store into a set that packets are looked up in; `word` counts u64, and each store is atomic. */
export interface WordWrite {
  readonly word: number;
  readonly low: number;
  readonly high: number;
}

/**
 * A set as the XDP program reads it: u64 words, little-endian, as pairs (low, high) of u32.
 * `used` of its words carry data; the rest is room for edits.
 */
export interface Image {
  readonly words: Uint32Array;
  readonly used: number;
}
