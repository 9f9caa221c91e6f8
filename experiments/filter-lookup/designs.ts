/** Each design, filled with the same list by the addon, as an agent would fill it. */
import { type BpfMap, type BpfObject, native } from '../../adapters/native/native';
import { EMPTY, prefixSet } from '../../core/filter/algebra';
import { hashKey, putKey } from '../../core/filter/image6';
import { LINE_WORDS } from '../../core/filter/lines';
import { TrueSet } from '../../core/filter/true-set';
import type { Image, PrefixSet } from '../../core/filter/types';

export type Family = 4 | 6;

/** A list as it lies in the kernel. */
export interface Filled {
  /** Of its maps, as /proc/self/fdinfo tells it. */
  bytes: number;
  /** One host more, or the same host less: what a hand block costs. */
  toggle: (on: boolean) => void;
  close: () => Promise<void>;
}

export interface Design {
  name: string;
  family: Family;
  program: string;
  fill: (object: BpfObject, list: PrefixSet) => Promise<Filled>;
}

const BPF_MAP_TYPE = { hash: 1, array: 2, trie: 11 } as const;
const BPF_F_NO_PREALLOC = 1;
const BPF_F_MMAPABLE = 1 << 10;
const BPF_F_INNER_MAP = 1 << 12;
const ZERO = new Uint8Array(4);
const BLOCK = Uint8Array.of(2, 0, 0, 0);
const BATCH = 65_536;
const SEED = 0x51ed270b;
/** In neither list. */
const TOGGLED = { 4: '203.0.113.77/32', 6: '2001:db8::77/128' } as const;
const TOGGLED_ADDRESS = 0xcb00714d;

const bytesOf = (words: Uint32Array): Uint8Array =>
  new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
const swap = (word: number): number =>
  ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
const wordsOf = (map: BpfMap): Uint32Array => {
  const bytes = map.mmap();
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
};

interface Table {
  outer: string;
  type: number;
  keyWords: number;
  valueWords: number;
  flags: number;
}

/** A map of its own size in the outer map of the design, and `count` keys put into it. */
async function fillTable(
  object: BpfObject,
  { outer, type, keyWords, valueWords, flags }: Table,
  keys: Uint32Array,
  values: Uint32Array,
): Promise<BpfMap> {
  const count = keys.length / keyWords;
  const map = native.BpfMap.create({
    type,
    name: outer,
    keySize: keyWords * 4,
    valueSize: valueWords * 4,
    maxEntries: count + 1,
    flags,
  });
  for (let from = 0; from < count; from += BATCH) {
    const to = Math.min(count, from + BATCH);
    const some = keys.subarray(from * keyWords, to * keyWords);
    const theirs = values.subarray(from * valueWords, to * valueWords);
    await map.updateBatch(bytesOf(some), bytesOf(theirs), to - from);
  }
  await object.map(outer).setInner(ZERO, map);
  return map;
}

const releaser = (object: BpfObject, outer: string, key: Uint8Array, map: BpfMap) => async () => {
  await object.map(outer).setInner(key, null);
  map.close();
};

/** Distinct lengths, the most frequent first, to where the program looks for them. */
function putLengths(object: BpfObject, lengths: Uint8Array): void {
  const counts = new Map<number, number>();
  for (const length of lengths) counts.set(length, (counts.get(length) ?? 0) + 1);
  const ordered = [...counts].sort((a, b) => b[1] - a[1]).map(([length]) => length);
  const state = object.map('state').mmap();
  new DataView(state.buffer, state.byteOffset).setUint32(16, ordered.length, true);
  state.set(ordered, 24);
}

const ones = (count: number): Uint32Array => new Uint32Array(count).fill(1);
const setBit = (bits: Uint32Array, bit: number): void => {
  bits[bit >>> 5] = (bits[bit >>> 5] ?? 0) | (1 << (bit & 31));
};
const PRESENCE_MASK = 2 ** 26 - 1;

/** Key as bytes, for one more host; presence bits aside, what one `update` or `delete` takes. */
const toggler = (map: BpfMap, key: Uint32Array, valueWords: number) => {
  const value = new Uint8Array(valueWords * 4).fill(1);
  return (on: boolean): void => {
    if (on) map.update(bytesOf(key), value, 0);
    else map.delete(bytesOf(key));
  };
};

async function fillTrie4(object: BpfObject, { v4 }: PrefixSet): Promise<Filled> {
  const keys = new Uint32Array(v4.lengths.length * 2);
  for (const [i, length] of v4.lengths.entries()) {
    keys[i * 2] = length;
    keys[i * 2 + 1] = swap(v4.addresses[i] ?? 0);
  }
  const table = {
    outer: 'trie4',
    type: BPF_MAP_TYPE.trie,
    keyWords: 2,
    valueWords: 1,
    flags: BPF_F_NO_PREALLOC,
  };
  const map = await fillTable(object, table, keys, ones(v4.lengths.length));
  return {
    bytes: map.memlockBytes(),
    toggle: toggler(map, Uint32Array.of(32, swap(TOGGLED_ADDRESS)), 1),
    close: releaser(object, 'trie4', ZERO, map),
  };
}

async function fillHash4(object: BpfObject, { v4 }: PrefixSet): Promise<Filled> {
  const keys = new Uint32Array(v4.lengths.length * 2);
  const presence = object.map('presence');
  const bits = wordsOf(presence).fill(0);
  for (const [i, length] of v4.lengths.entries()) {
    const address = v4.addresses[i] ?? 0;
    keys[i * 2] = length;
    keys[i * 2 + 1] = address;
    const hash = Math.imul(address ^ length, 0x9e3779b1);
    setBit(bits, (hash ^ (hash >>> 15)) & PRESENCE_MASK);
  }
  putLengths(object, v4.lengths);
  const table = { outer: 'hash4', type: BPF_MAP_TYPE.hash, keyWords: 2, valueWords: 1, flags: 0 };
  const map = await fillTable(object, table, keys, ones(v4.lengths.length));
  return {
    bytes: map.memlockBytes() + presence.memlockBytes(),
    toggle: toggler(map, Uint32Array.of(32, TOGGLED_ADDRESS), 1),
    close: releaser(object, 'hash4', ZERO, map),
  };
}

const HOST_WORDS = 8;

/** The /24s of which some hosts are listed, with 256 bits each; the rest goes into the two bits. */
function splitNetworks({ v4 }: PrefixSet, twoBits: Uint32Array): [Uint32Array, Uint32Array] {
  const networks: number[] = [];
  const hosts = new Uint32Array(v4.lengths.length * HOST_WORDS);
  const mark = (network: number, what: number): void => {
    const at = network >>> 4;
    twoBits[at] = (twoBits[at] ?? 0) | (what << ((network & 15) * 2));
  };
  for (const [i, length] of v4.lengths.entries()) {
    const address = v4.addresses[i] ?? 0;
    const first = address >>> 8;
    for (let k = 0; k < 2 ** (24 - length); k++) if (length <= 24) mark(first + k, 1);
    if (length <= 24) continue;
    if (networks.at(-1) !== first) {
      networks.push(first);
      mark(first, 2);
    }
    const bits = hosts.subarray((networks.length - 1) * HOST_WORDS, networks.length * HOST_WORDS);
    for (let k = 0; k < 2 ** (32 - length); k++) setBit(bits, (address & 0xff) + k);
  }
  return [Uint32Array.from(networks), hosts.subarray(0, networks.length * HOST_WORDS)];
}

async function fillTwoBits(object: BpfObject, list: PrefixSet): Promise<Filled> {
  const twoBits = object.map('two_bits');
  const [networks, hosts] = splitNetworks(list, wordsOf(twoBits).fill(0));
  const table = {
    outer: 'networks',
    type: BPF_MAP_TYPE.hash,
    keyWords: 1,
    valueWords: HOST_WORDS,
    flags: 0,
  };
  const map = await fillTable(object, table, networks, hosts);
  return {
    bytes: map.memlockBytes() + twoBits.memlockBytes(),
    toggle: toggler(map, Uint32Array.of(TOGGLED_ADDRESS >>> 8), HOST_WORDS),
    close: releaser(object, 'networks', ZERO, map),
  };
}

async function fillTrie6(object: BpfObject, { v6 }: PrefixSet): Promise<Filled> {
  const keys = new Uint32Array(v6.lengths.length * 5);
  for (const [i, length] of v6.lengths.entries()) {
    keys[i * 5] = length;
    for (let k = 0; k < 4; k++) keys[i * 5 + 1 + k] = swap(v6.words[i * 4 + k] ?? 0);
  }
  const table = {
    outer: 'trie6',
    type: BPF_MAP_TYPE.trie,
    keyWords: 5,
    valueWords: 1,
    flags: BPF_F_NO_PREALLOC,
  };
  const map = await fillTable(object, table, keys, ones(v6.lengths.length));
  return {
    bytes: map.memlockBytes(),
    toggle: toggler(map, Uint32Array.of(128, swap(0x20010db8), 0, 0, swap(0x77)), 1),
    close: releaser(object, 'trie6', ZERO, map),
  };
}

async function fillHash6(object: BpfObject, { v6 }: PrefixSet): Promise<Filled> {
  const keys = new Uint32Array(v6.lengths.length * 6);
  const presence = object.map('presence');
  const bits = wordsOf(presence).fill(0);
  const key = new Uint32Array(4);
  for (const [i, length] of v6.lengths.entries()) {
    putKey(key, v6.words, i * 4, length);
    const [a = 0, b = 0, c = 0, d = 0] = key;
    keys.set([b, a, d, c, length], i * 6);
    setBit(bits, hashKey(key, length) & PRESENCE_MASK);
  }
  putLengths(object, v6.lengths);
  const table = { outer: 'hash6', type: BPF_MAP_TYPE.hash, keyWords: 6, valueWords: 1, flags: 0 };
  const map = await fillTable(object, table, keys, ones(v6.lengths.length));
  return {
    bytes: map.memlockBytes() + presence.memlockBytes(),
    toggle: toggler(map, Uint32Array.of(0, 0x20010db8, 0x77, 0, 128, 0), 1),
    close: releaser(object, 'hash6', ZERO, map),
  };
}

/** A map that holds an image. */
function mapOf(image: Image, name: string, flags: number): BpfMap {
  const map = native.BpfMap.create({
    type: BPF_MAP_TYPE.array,
    name,
    keySize: 4,
    valueSize: LINE_WORDS * 8,
    maxEntries: image.words.length / 2 / LINE_WORDS,
    flags,
  });
  map.mmap().set(bytesOf(image.words));
  return map;
}

const fillOurs =
  (family: Family) =>
  async (object: BpfObject, list: PrefixSet): Promise<Filled> => {
    const set = new TrueSet(
      [family === 4 ? { ...list, v6: EMPTY.v6 } : { ...list, v4: EMPTY.v4 }],
      EMPTY,
      SEED,
    );
    const image = family === 4 ? set.image4 : set.image6;
    if (!image) throw new Error('The list is empty');
    const outer = `sets${family}`;
    const map = mapOf(image, outer, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
    await object.map(outer).setInner(BLOCK, map);
    const one = prefixSet([TOGGLED[family]]);
    const { buffer, byteOffset, byteLength } = map.mmap();
    const words = new BigUint64Array(buffer, byteOffset, byteLength / 8);
    return {
      bytes: map.memlockBytes(),
      toggle: (on) => {
        const changes = set.setOverlay(on ? one : EMPTY, performance.now());
        const change = family === 4 ? changes.v4 : changes.v6;
        if (change?.kind !== 'writes') throw new Error('One prefix took a new image');
        for (const { word, low, high } of change.writes)
          Atomics.store(words, word, (BigInt(high) << 32n) | BigInt(low));
      },
      close: releaser(object, outer, BLOCK, map),
    };
  };

/** Words before the pool: those of every IPv4 image. */
const ROOT_U32 = (1024 + 2 ** 19) * 2;

/** Beside ours, which must be filled too: its root alone, in a map of one size for all. */
async function fillInlined(object: BpfObject, list: PrefixSet): Promise<Filled> {
  const set = new TrueSet([{ ...list, v6: EMPTY.v6 }], EMPTY, SEED);
  if (!set.image4) throw new Error('The list is empty');
  const words = set.image4.words.slice(0, ROOT_U32);
  const map = mapOf({ words, used: ROOT_U32 / 2 }, 'roots', BPF_F_MMAPABLE);
  await object.map('roots').setInner(ZERO, map);
  return {
    bytes: map.memlockBytes(),
    toggle: () => undefined,
    close: releaser(object, 'roots', ZERO, map),
  };
}

const shared = (name: string, program: string): Design => ({
  name,
  family: 4,
  program,
  fill: () =>
    Promise.resolve({ bytes: 0, toggle: () => undefined, close: () => Promise.resolve() }),
});

export const TRIE = 'LPM_TRIE';
export const HASH = 'HASH per length, presence bits';
export const TWO_BITS = 'two bits per /24, HASH of /24s';
export const OURS = 'ours';
export const BY_SIXTEENS = 'ours, /16s first';
export const INLINED = 'ours, root inlined';

/** In the order in which they are filled: the last two look into the maps of `ours`. */
export const DESIGNS: readonly Design[] = [
  { name: TRIE, family: 4, program: 'by_trie4', fill: fillTrie4 },
  { name: HASH, family: 4, program: 'by_hash4', fill: fillHash4 },
  { name: TWO_BITS, family: 4, program: 'by_two_bits4', fill: fillTwoBits },
  { name: OURS, family: 4, program: 'ours4', fill: fillOurs(4) },
  shared(BY_SIXTEENS, 'ours4_by_sixteens'),
  { name: INLINED, family: 4, program: 'ours4_inlined', fill: fillInlined },
  { name: TRIE, family: 6, program: 'by_trie6', fill: fillTrie6 },
  { name: HASH, family: 6, program: 'by_hash6', fill: fillHash6 },
  { name: OURS, family: 6, program: 'ours6', fill: fillOurs(6) },
];
