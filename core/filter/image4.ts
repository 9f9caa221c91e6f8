/**
 * An IPv4 set as bpf/include/set4.h reads it (docs/notes/filter.md, decision 0050), made from lists and
 * changed in place.
 *
 * A root word covers a /19. It holds up to four hosts and /24s itself; of more, its low half says which
 * /24s hold something, and its high half where their leaves lie in a row. So of a million addresses
 * spread at random nearly each is one load, into 4 MiB.
 */
import {
  addPrefix,
  ALL_LEAF,
  encodeGroup,
  GROUP_BITS,
  GROUP_WORDS,
  groupHas,
  lane,
  MOST_LANES,
  newGroup,
  placeRow,
  putLanes,
} from './group4';
import { LEAST_ROOM_WORDS, roomFor } from './lines';
import type { Image, Prefixes4 } from './types';

/** In words; SET4_ROOT and SET4_POOL of bpf/include/consts.h. */
export const ROOT = 1024;
const GROUPS = 2 ** (32 - GROUP_BITS);
export const POOL = ROOT + GROUPS;
/** At the head of the pool: the row of every /19 that holds whole /24s only. */
export const COMMON_ROW = POOL;
export const COMMON_WORDS = 32;
const FULL = 0xffffffff;
/** What the builder begins with: memory that is zero and not touched costs nothing. */
const FIRST_WORDS = POOL + COMMON_WORDS + 2 * LEAST_ROOM_WORDS;
/** By so much the builder's words grow when they are full. */
const GROWTH = 1.5;

/** Prefixes of one list that are yet to be placed. */
interface Cursor {
  list: Prefixes4;
  at: number;
}

export const groupOf = (address: number): number => address >>> GROUP_BITS;
/** How many /19s a prefix has addresses in. */
export const groupsOf = (length: number): number => Math.max(1, 2 ** (32 - GROUP_BITS - length));
const isShort = (length: number): boolean => length <= 32 - GROUP_BITS;

/** A prefix touches the /16 of this /19. */
export function markSixteen(words: Uint32Array, group: number): void {
  const sixteen = group >>> 3;
  words[sixteen >>> 5]! |= 1 << (sixteen & 31);
}

class Builder {
  words = new Uint32Array(FIRST_WORDS * 2);
  used = POOL + COMMON_WORDS;
  private readonly bits = new Uint32Array(GROUP_WORDS);
  private readonly group = newGroup();
  private readonly lanes = new Uint16Array(MOST_LANES);

  constructor() {
    for (let i = 0; i < COMMON_WORDS; i++) this.words[(COMMON_ROW + i) * 2] = ALL_LEAF;
  }

  cover(from: number, to: number): void {
    for (let group = from; group < to; group++) {
      this.put(group, FULL, COMMON_ROW);
      markSixteen(this.words, group);
    }
  }

  /** The prefixes [from, to) of one list, all of them in one /19. */
  one(list: Prefixes4, from: number, to: number): void {
    const group = groupOf(list.addresses[from]!);
    if (this.direct(list, from, to)) {
      putLanes(this.group, this.lanes, to - from);
      this.place(group);
    } else {
      this.bits.fill(0);
      this.add(group, list, from, to);
      this.encode(group);
    }
  }

  add(group: number, { addresses, lengths }: Prefixes4, from: number, to: number): void {
    for (let i = from; i < to; i++) addPrefix(this.bits, group, addresses[i]!, lengths[i]!);
  }

  begin(): void {
    this.bits.fill(0);
  }

  encode(group: number): void {
    encodeGroup(this.group, this.bits);
    this.place(group);
  }

  /** The short way for what is most frequent: up to four hosts and /24s. */
  private direct({ addresses, lengths }: Prefixes4, from: number, to: number): boolean {
    if (to - from > MOST_LANES) return false;
    for (let i = from; i < to; i++) {
      const length = lengths[i]!;
      if (length !== 32 && length !== 24) return false;
      this.lanes[i - from] = lane(addresses[i]! & (2 ** GROUP_BITS - 1), length === 24);
    }
    return true;
  }

  private place(group: number): void {
    const { low, high, rowWords, common } = this.group;
    markSixteen(this.words, group);
    if (rowWords === 0) {
      this.put(group, low, common ? COMMON_ROW : high);
      return;
    }
    this.reserve(rowWords);
    placeRow(this.group, this.words, this.used);
    this.put(group, low, this.used);
    this.used += rowWords;
  }

  private put(group: number, low: number, high: number): void {
    this.words[(ROOT + group) * 2] = low;
    this.words[(ROOT + group) * 2 + 1] = high;
  }

  private reserve(count: number): void {
    const need = (this.used + count) * 2;
    if (need <= this.words.length) return;
    const grown = new Uint32Array(Math.max(need, Math.ceil(this.words.length * GROWTH)));
    grown.set(this.words);
    this.words = grown;
  }
}

/** The next /19, from `least` on, that some list has a prefix in. */
function nextGroup(cursors: readonly Cursor[], least: number): number {
  let next = GROUPS;
  for (const cursor of cursors) {
    const { addresses } = cursor.list;
    while (cursor.at < addresses.length && groupOf(addresses[cursor.at]!) < least) cursor.at++;
    if (cursor.at < addresses.length) next = Math.min(next, groupOf(addresses[cursor.at]!));
  }
  return next;
}

/** How many /19s are covered from this one on; 0: no list has a prefix of at most 19 bits here. */
function coverAt(cursors: readonly Cursor[], group: number): number {
  let span = 0;
  for (const { list, at } of cursors) {
    if (at >= list.addresses.length || groupOf(list.addresses[at]!) !== group) continue;
    if (isShort(list.lengths[at]!)) span = Math.max(span, groupsOf(list.lengths[at]!));
  }
  return span;
}

function endOf({ list, at }: Cursor, group: number): number {
  let end = at;
  while (end < list.addresses.length && groupOf(list.addresses[end]!) === group) end++;
  return end;
}

function buildGroup(builder: Builder, cursors: readonly Cursor[], group: number): void {
  const here = cursors.filter((cursor) => endOf(cursor, group) > cursor.at);
  const [only] = here;
  if (here.length === 1 && only) {
    builder.one(only.list, only.at, endOf(only, group));
    return;
  }
  builder.begin();
  for (const cursor of here) builder.add(group, cursor.list, cursor.at, endOf(cursor, group));
  builder.encode(group);
}

/** The image of the union of normalised lists, with room for edits. */
export function buildImage4(lists: readonly Prefixes4[]): Image {
  const builder = new Builder();
  const cursors = lists
    .filter(({ addresses }) => addresses.length > 0)
    .map((list) => ({ list, at: 0 }));
  for (let group = nextGroup(cursors, 0); group < GROUPS;) {
    const covered = coverAt(cursors, group);
    if (covered > 0) builder.cover(group, group + covered);
    else buildGroup(builder, cursors, group);
    group = nextGroup(cursors, group + Math.max(covered, 1));
  }
  const length = roomFor(builder.used, builder.used - POOL);
  // A small set stays where it was made: a copy would touch all of its memory.
  if (length <= FIRST_WORDS) return { words: builder.words, used: builder.used };
  const words = new Uint32Array(length * 2);
  words.set(builder.words.subarray(0, builder.used * 2));
  return { words, used: builder.used };
}

/** Whether the set holds this address (host order): what set4_has says of the same words. */
export function has4(words: Uint32Array, address: number): boolean {
  return groupHas(words, ROOT + groupOf(address), address & (2 ** GROUP_BITS - 1));
}

/** Puts into `bits` what normalised lists hold of a /19. */
export function gatherGroup(bits: Uint32Array, lists: readonly Prefixes4[], group: number): void {
  bits.fill(0);
  const start = group * 2 ** GROUP_BITS;
  for (const { addresses, lengths } of lists) {
    let at = firstFrom(addresses, start);
    const before = at - 1;
    // Only the prefix just before can reach in here: prefixes of a normalised list don't nest.
    if (before >= 0 && addresses[before]! + 2 ** (32 - lengths[before]!) > start)
      addPrefix(bits, group, addresses[before]!, lengths[before]!);
    for (; at < addresses.length && groupOf(addresses[at]!) === group; at++)
      addPrefix(bits, group, addresses[at]!, lengths[at]!);
  }
}

/** The first place of a sorted list whose address is at least `least`. */
function firstFrom(addresses: Uint32Array, least: number): number {
  let low = 0;
  let high = addresses.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (addresses[middle]! < least) low = middle + 1;
    else high = middle;
  }
  return low;
}
