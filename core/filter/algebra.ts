/**
 * Sets of prefixes, reckoned with. All sets are normalised (core/filter/types.ts) but what goes into
 * `normalise`; nothing is changed in place. A million prefixes take a fraction of a second.
 */
import { formatPrefix, network, parseAddress, parsePrefix, type Prefix } from '../model/prefix';
import {
  aggregateRows,
  countOutside,
  normaliseRows,
  rowAround,
  rowWithin,
  rows4,
  rows6,
  type Rows,
} from './rows';
import type { PrefixSet } from './types';

export const EMPTY: PrefixSet = {
  v4: { addresses: new Uint32Array(0), lengths: new Uint8Array(0) },
  v6: { words: new Uint32Array(0), lengths: new Uint8Array(0) },
};

const setOf = (v4: Rows, v6: Rows): PrefixSet => ({
  v4: { addresses: v4.words, lengths: v4.lengths },
  v6: { words: v6.words, lengths: v6.lengths },
});

export const sizeOf = ({ v4, v6 }: PrefixSet): number => v4.lengths.length + v6.lengths.length;

export interface Normalised {
  set: PrefixSet;
  /** Prefixes that were there before. */
  duplicates: number;
  /** Prefixes that lie in a shorter one. */
  covered: number;
}

/** Any order, any repetition; but host bits must be zero. */
export function normalise(raw: PrefixSet): Normalised {
  const v4 = normaliseRows(rows4(raw.v4));
  const v6 = normaliseRows(rows6(raw.v6));
  return {
    set: setOf(v4.rows, v6.rows),
    duplicates: v4.duplicates + v6.duplicates,
    covered: v4.covered + v6.covered,
  };
}

const joinRows = (a: Rows, b: Rows): Rows => {
  const words = new Uint32Array(a.words.length + b.words.length);
  const lengths = new Uint8Array(a.lengths.length + b.lengths.length);
  words.set(a.words);
  words.set(b.words, a.words.length);
  lengths.set(a.lengths);
  lengths.set(b.lengths, a.lengths.length);
  return { words, lengths, stride: a.stride };
};

export const union = (a: PrefixSet, b: PrefixSet): PrefixSet =>
  normalise(setOf(joinRows(rows4(a.v4), rows4(b.v4)), joinRows(rows6(a.v6), rows6(b.v6)))).set;

/** ::ffff:0:0/96 (RFC 4291 §2.5.5.2): an IPv4 address in IPv6 clothes. */
const MAPPED_LENGTH = 96;
const MAPPED = 0xffffn;

const unmapped = (prefix: Prefix): Prefix =>
  prefix.family === 6 && prefix.length >= MAPPED_LENGTH && prefix.bits >> 32n === MAPPED
    ? { family: 4, bits: prefix.bits & 0xffffffffn, length: prefix.length - MAPPED_LENGTH }
    : prefix;

function rowsOf(prefixes: readonly Prefix[], stride: 1 | 4): Rows {
  const words = new Uint32Array(prefixes.length * stride);
  const lengths = new Uint8Array(prefixes.length);
  for (const [i, { bits, length }] of prefixes.entries()) {
    for (let k = 0; k < stride; k++)
      words[i * stride + k] = Number((bits >> BigInt(32 * (stride - 1 - k))) & 0xffffffffn);
    lengths[i] = length;
  }
  return { words, lengths, stride };
}

/** Of addresses and prefixes as text, for the few; host bits are cleared. Throws a TypeError on others. */
export function prefixSet(texts: readonly string[]): PrefixSet {
  const prefixes = texts.map((text) => {
    const address = parseAddress(text);
    const whole = address && { ...address, length: address.family === 4 ? 32 : 128 };
    const prefix = whole ?? parsePrefix(text);
    if (!prefix) throw new TypeError(`Not a prefix: '${text}'`);
    return network(unmapped(prefix));
  });
  const of = (family: 4 | 6) => prefixes.filter((prefix) => prefix.family === family);
  return normalise(setOf(rowsOf(of(4), 1), rowsOf(of(6), 4))).set;
}

function textOf(rows: Rows, i: number): string {
  const { words, lengths, stride } = rows;
  let bits = 0n;
  for (let k = 0; k < stride; k++) bits = (bits << 32n) | BigInt(words[i * stride + k]!);
  return formatPrefix({ family: stride === 1 ? 4 : 6, bits, length: lengths[i]! });
}

/** The canonical texts from the `start`th prefix on; IPv4 comes first. */
export function prefixTexts(set: PrefixSet, start = 0, most = Infinity): string[] {
  const texts: string[] = [];
  const end = Math.min(sizeOf(set), start + most);
  const count4 = set.v4.lengths.length;
  for (let i = start; i < end; i++)
    texts.push(i < count4 ? textOf(rows4(set.v4), i) : textOf(rows6(set.v6), i - count4));
  return texts;
}

const families = (set: PrefixSet): [Rows, Rows] => [rows4(set.v4), rows6(set.v6)];

/** How many prefixes of `these` do not lie in one single prefix of `those`. */
const outside = (these: PrefixSet, those: PrefixSet): number =>
  countOutside(rows4(these.v4), rows4(those.v4)) + countOutside(rows6(these.v6), rows6(those.v6));

/** Whether every prefix of `inner` (few) lies in one single prefix of `set` (many). */
export function contains(set: PrefixSet, inner: PrefixSet): boolean {
  const rows = families(set);
  return families(inner).every((other, family) =>
    other.lengths.every((_, j) => rowAround(rows[family]!, other, j) >= 0),
  );
}

/** Two prefixes that have addresses in common. */
export interface Overlap {
  prefix: string;
  other: string;
}

/** The first prefixes of `others` (few) that meet one of `set` (many), at most so many. */
export function overlaps(set: PrefixSet, others: PrefixSet, most: number): Overlap[] {
  const found: Overlap[] = [];
  const rows = families(set);
  for (const [family, other] of families(others).entries()) {
    const own = rows[family]!;
    for (let j = 0; j < other.lengths.length && found.length < most; j++) {
      const around = rowAround(own, other, j);
      const i = around >= 0 ? around : rowWithin(own, other, j);
      if (i >= 0) found.push({ prefix: textOf(own, i), other: textOf(other, j) });
    }
  }
  return found;
}

/** The prefixes shorter than these lengths, at most so many. */
export function shorterThan(
  set: PrefixSet,
  least: Readonly<Record<4 | 6, number>>,
  most: number,
): string[] {
  const found: string[] = [];
  for (const rows of families(set)) {
    const shortest = rows.stride === 1 ? least[4] : least[6];
    for (let i = 0; i < rows.lengths.length && found.length < most; i++)
      if (rows.lengths[i]! < shortest) found.push(textOf(rows, i));
  }
  return found;
}

const aggregate = (set: PrefixSet): PrefixSet =>
  setOf(aggregateRows(rows4(set.v4)), aggregateRows(rows6(set.v6)));

/**
 * Prefixes that `now` has and `before` did not have, and the other way: a prefix counts as kept when
 * all its addresses are there still, in whatever prefixes, so that splitting or merging takes nothing away.
 */
export const difference = (
  before: PrefixSet,
  now: PrefixSet,
): { added: number; removed: number } => ({
  added: outside(now, aggregate(before)),
  removed: outside(before, aggregate(now)),
});
