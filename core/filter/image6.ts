/**
 * An IPv6 set as bpf/include/set6.h reads it (docs/notes/filter.md, decision 0050): made from lists, and
 * changed in place by core/filter/edit6.ts.
 *
 * A prefix is a key of 128 bits: its bits, then a one, then zeros; a /128 is its bits, in a table of its
 * own. Each length in use costs a look-up one hash and one presence bit; only where that bit is set a
 * bucket, which is a cache line, is compared.
 */
import { LINE_WORDS } from './lines';
import type { Image, Prefixes6 } from './types';

/** In lines; SET6_… of bpf/include/consts.h. */
const LENGTHS = 1;
const PRESENCE = 3;
export const SLOTS = 3;
export const PROBES = 8;
/** Of a bucket's first word: keys that had no room here lie in the next one. */
export const WENT_ON = 1 << SLOTS;
const SLOTS_MASK = WENT_ON - 1;

/** u32 in the words, low halves first. */
export const HEADER = {
  count: 0,
  seed: 1,
  presenceMask: 2,
  flags: 3,
  prefixBuckets: 4,
  prefixLine: 5,
  hostBuckets: 6,
  hostLine: 7,
} as const;
export const FLAG = { hosts: 1, zero: 2 } as const;
export const HOST_LENGTH = 128;

const LINE_U32 = LINE_WORDS * 2;
export const LENGTHS_U32 = LENGTHS * LINE_U32;
const PRESENCE_U32 = PRESENCE * LINE_U32;
const LINE_BITS = LINE_WORDS * 64;

const LEAST_BUCKETS = 64;
const FILL = 0.6;
const PRESENCE_BITS_A_KEY = 16;

/** Four u32, the most significant first. */
export type Key = Uint32Array;

const mix = (hash: number, word: number): number => {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
};

/** set6_hash: u32. */
export function hashKey(key: Key, seed: number): number {
  const four = mix(mix(mix(mix(seed, key[0]!), key[1]!), key[2]!), key[3]!);
  const hash = Math.imul(four, 0x85ebca77);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** The key of the prefix of `length` bits that `address` (four words at `at`) lies in. */
export function putKey(key: Key, address: Uint32Array, at: number, length: number): void {
  const last = length >>> 5;
  for (let k = 0; k < 4; k++) key[k] = k <= last ? address[at + k]! : 0;
  if (length === HOST_LENGTH) return;
  const one = 0x80000000 >>> (length & 31);
  key[last] = (key[last]! & ~(2 * one - 1)) | one;
}

export const isZero = (key: Key): boolean => (key[0]! | key[1]! | key[2]! | key[3]!) === 0;

export const isIn = (words: Uint32Array, bucket: number, slot: number, key: Key): boolean => {
  const at = bucket + 2 + 4 * slot;
  return (
    words[at + 1] === key[0] &&
    words[at] === key[1] &&
    words[at + 3] === key[2] &&
    words[at + 2] === key[3]
  );
};

const keyAt = (words: Uint32Array, bucket: number, slot: number): Key => {
  const at = bucket + 2 + 4 * slot;
  return Uint32Array.of(words[at + 1]!, words[at]!, words[at + 3]!, words[at + 2]!);
};

export const putInSlot = (words: Uint32Array, bucket: number, slot: number, key: Key): void => {
  const at = bucket + 2 + 4 * slot;
  words[at + 1] = key[0]!;
  words[at] = key[1]!;
  words[at + 3] = key[2]!;
  words[at + 2] = key[3]!;
};

/** Where the bucket of this hash begins, in u32. */
export function bucketOf(words: Uint32Array, host: boolean, hash: number): number {
  const buckets = words[host ? HEADER.hostBuckets : HEADER.prefixBuckets]!;
  const line = words[host ? HEADER.hostLine : HEADER.prefixLine]!;
  return (line + Math.floor((hash * buckets) / 2 ** 32)) * LINE_U32;
}

/**
 * Where a key looks next whose bucket is full. Not the neighbour: full neighbours make long runs, and
 * the verifier wants few steps.
 */
export const nextHash = (hash: number): number => (Math.imul(hash, 0x915f77f5) + 1) >>> 0;

/** Where the slot with this key is: bucket × 4 + slot; −1: nowhere. */
export function slotOf(words: Uint32Array, host: boolean, key: Key, hash: number): number {
  for (let i = 0, at = hash; i < PROBES; i++, at = nextHash(at)) {
    const bucket = bucketOf(words, host, at);
    const state = words[bucket]!;
    for (let slot = 0; slot < SLOTS; slot++) {
      if ((state & (1 << slot)) !== 0 && isIn(words, bucket, slot, key)) return bucket * 4 + slot;
    }
    if ((state & WENT_ON) === 0) break;
  }
  return -1;
}

/** The u32 that holds the presence bit of a hash. */
export const presenceAt = (words: Uint32Array, hash: number): number =>
  PRESENCE_U32 + ((hash & words[HEADER.presenceMask]!) >>> 5);

/** The lengths in use but 128, as bytes behind the header. */
export const lengthAt = (words: Uint32Array, i: number): number =>
  (words[LENGTHS_U32 + (i >>> 2)]! >>> ((i & 3) * 8)) & 0xff;

export function putLength(words: Uint32Array, i: number, length: number): void {
  const at = LENGTHS_U32 + (i >>> 2);
  words[at] = (words[at]! & ~(0xff << ((i & 3) * 8))) | (length << ((i & 3) * 8));
}

/** Keys of each length, 0 … 128; what is in two lists counts twice. */
function countLengths(lists: readonly Prefixes6[]): Uint32Array {
  const counts = new Uint32Array(HOST_LENGTH + 1);
  for (const { lengths } of lists) for (const length of lengths) counts[length]!++;
  return counts;
}

const bucketsFor = (keys: number, fill: number): number =>
  Math.max(LEAST_BUCKETS, Math.ceil(keys / (SLOTS * fill)));

/** An image with room for so many keys, and none in it. The most frequent length is asked first. */
function emptyImage(counts: Uint32Array, seed: number, fill: number): Uint32Array {
  const hosts = counts[HOST_LENGTH]!;
  const prefixes = counts.reduce((sum, count) => sum + count, 0) - hosts;
  const wanted = (hosts + prefixes) * PRESENCE_BITS_A_KEY;
  const presence = Math.max(LINE_BITS * 8, 2 ** Math.ceil(Math.log2(wanted + 1)));
  const [prefixBuckets, hostBuckets] = [bucketsFor(prefixes, fill), bucketsFor(hosts, fill)];
  const prefixLine = PRESENCE + presence / LINE_BITS;
  const hostLine = prefixLine + prefixBuckets;
  const words = new Uint32Array((hostLine + hostBuckets) * LINE_U32);
  const used = [...counts.keys()].filter((length) => length < HOST_LENGTH && counts[length]! > 0);
  used.sort((a, b) => counts[b]! - counts[a]!);
  for (const [i, length] of used.entries()) putLength(words, i, length);
  const flags = hosts > 0 ? FLAG.hosts : 0;
  words.set([
    used.length,
    seed,
    presence - 1,
    flags,
    prefixBuckets,
    prefixLine,
    hostBuckets,
    hostLine,
  ]);
  return words;
}

/** Puts a key where the tables have room for it; false: they have none near its place. */
function insert(words: Uint32Array, host: boolean, key: Key, hash: number): boolean {
  for (let i = 0, at = hash; i < PROBES; i++, at = nextHash(at)) {
    const bucket = bucketOf(words, host, at);
    const state = words[bucket]!;
    for (let slot = 0; slot < SLOTS; slot++) {
      if ((state & (1 << slot)) !== 0) continue;
      putInSlot(words, bucket, slot, key);
      words[bucket] = state | (1 << slot);
      return true;
    }
    words[bucket] = state | WENT_ON;
  }
  return displace(words, host, key, hash);
}

/** All places of a key are taken: one of the keys that lie there moves on along its own way. */
function displace(words: Uint32Array, host: boolean, key: Key, hash: number): boolean {
  for (let i = 0, at = hash; i < PROBES; i++, at = nextHash(at)) {
    const bucket = bucketOf(words, host, at);
    for (let slot = 0; slot < SLOTS; slot++) {
      if (!moveOn(words, host, bucket, slot)) continue;
      putInSlot(words, bucket, slot, key);
      return true;
    }
  }
  return false;
}

/** Copies a key to a later place of its own; false: there is none. */
function moveOn(words: Uint32Array, host: boolean, from: number, slot: number): boolean {
  const moved = keyAt(words, from, slot);
  const passed: number[] = [];
  let isBehind = false;
  for (let i = 0, at = hashKey(moved, words[HEADER.seed]!); i < PROBES; i++, at = nextHash(at)) {
    const bucket = bucketOf(words, host, at);
    const free = SLOTS_MASK & ~words[bucket]!;
    if (isBehind && free !== 0) {
      const to = 31 - Math.clz32(free);
      putInSlot(words, bucket, to, moved);
      words[bucket]! |= 1 << to;
      for (const full of passed) words[full]! |= WENT_ON;
      return true;
    }
    isBehind ||= bucket === from;
    passed.push(bucket);
  }
  return false;
}

function insertAll(words: Uint32Array, lists: readonly Prefixes6[]): boolean {
  const key = new Uint32Array(4);
  const seed = words[HEADER.seed]!;
  for (const list of lists) {
    for (let i = 0; i < list.lengths.length; i++) {
      const length = list.lengths[i]!;
      const host = length === HOST_LENGTH;
      putKey(key, list.words, i * 4, length);
      if (host && isZero(key)) {
        words[HEADER.flags]! |= FLAG.zero;
        continue;
      }
      const hash = hashKey(key, seed);
      if (lists.length > 1 && slotOf(words, host, key, hash) >= 0) continue;
      if (!insert(words, host, key, hash)) return false;
      words[presenceAt(words, hash)]! |= 1 << (hash & 31);
    }
  }
  return true;
}

/** The image of the union of normalised lists, with room for edits. `seed`: u32, unknown to others. */
export function buildImage6(lists: readonly Prefixes6[], seed: number): Image {
  const counts = countLengths(lists);
  // Some key may lie too far from its place; another seed and more room, and none does.
  for (
    let fill = FILL, trial = seed >>> 0;
    ;
    fill *= 0.9, trial = hashKey(new Uint32Array(4), trial)
  ) {
    const words = emptyImage(counts, trial, fill);
    if (insertAll(words, lists)) return { words, used: words.length / 2 };
  }
}

/** Whether the set holds the address in `key` (kept as it is): what set6_has says of the same words. */
export function has6(words: Uint32Array, address: Key): boolean {
  const seed = words[HEADER.seed]!;
  const flags = words[HEADER.flags]!;
  const finds = (host: boolean, key: Key): boolean => {
    const hash = hashKey(key, seed);
    const isPresent = ((words[presenceAt(words, hash)]! >>> (hash & 31)) & 1) === 1;
    return isPresent && slotOf(words, host, key, hash) >= 0;
  };
  if (isZero(address) ? (flags & FLAG.zero) !== 0 : finds(true, address)) return true;
  const key = new Uint32Array(4);
  for (let i = 0; i < words[HEADER.count]!; i++) {
    putKey(key, address, 0, lengthAt(words, i));
    if (finds(false, key)) return true;
  }
  return false;
}
