/**
 * The 8192 addresses of a /19, the unit of an IPv4 image (core/filter/image4.ts): from a bitmap to one
 * word of the root and, where that has no room for it, a row of leaves. The same addresses always give
 * the same words, in whatever prefixes they were written.
 */

export const GROUP_BITS = 13;
/** u32 of a bitmap. */
export const GROUP_WORDS = 256;
const NETWORKS = 32;
const NETWORK_WORDS = 8;
const FULL = 0xffffffff;

/** High half of a root word that holds lanes (SET4_LANES of bpf/include/set4.h). */
export const LANES = 0x80000000;
export const MOST_LANES = 4;
const TAG = { all: 1, hosts: 2, bits: 3 } as const;
export const ALL_LEAF = TAG.all;
const MOST_HOSTS = 7;

/** A row may be a leaf for each /24 and four words of bits for each leaf. */
export const MOST_ROW_WORDS = NETWORKS * 5;

export function popcount(x: number): number {
  let n = x - ((x >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Sets the bits [from, to) of a bitmap. */
export function fillBits(bits: Uint32Array, from: number, to: number): void {
  for (let at = from; at < to;) {
    const end = Math.min(to, (at | 31) + 1);
    bits[at >>> 5]! |= end - at === 32 ? FULL : ((1 << (end - at)) - 1) << (at & 31);
    at = end;
  }
}

/** Puts a prefix that meets the /19 `group` into its bitmap. */
export function addPrefix(bits: Uint32Array, group: number, address: number, length: number): void {
  if (length <= 32 - GROUP_BITS) bits.fill(FULL);
  else {
    const from = (address - group * 2 ** GROUP_BITS) | 0;
    fillBits(bits, from, from + 2 ** (32 - length));
  }
}

/** One of the up to four things in a root word: a host, or a whole /24. */
export const lane = (offset: number, whole: boolean): number => (offset << 1) | (whole ? 1 : 0);

/** What a /19 is in the image. `leaves`: pairs (low, high), then the bits they point to. */
export interface Group {
  low: number;
  high: number;
  /** Words of its row; 0 = `low` and `high` are the root word. Else `high` is for the row's place. */
  rowWords: number;
  /** Only whole /24s, more than four: the row is the common one. */
  common: boolean;
  row: Uint32Array;
}

/** Reused for each group: a million of them are made in a row. */
export const newGroup = (): Group => ({
  low: 0,
  high: 0,
  rowWords: 0,
  common: false,
  row: new Uint32Array(MOST_ROW_WORDS * 2),
});

/** Of one to four lanes; unused ones repeat the first. */
export function putLanes(group: Group, lanes: ArrayLike<number>, count: number): void {
  const first = lanes[0]!;
  const second = count > 1 ? lanes[1]! : first;
  const third = count > 2 ? lanes[2]! : first;
  const fourth = count > 3 ? lanes[3]! : first;
  group.low = (first | (second << 14) | ((third & 0xf) << 28)) >>> 0;
  group.high = ((third >>> 4) | (fourth << 10) | LANES) >>> 0;
  group.rowWords = 0;
  group.common = false;
}

const countOf = (bits: Uint32Array, network: number): number => {
  let count = 0;
  for (let k = 0; k < NETWORK_WORDS; k++) count += popcount(bits[network * NETWORK_WORDS + k]!);
  return count;
};

const HOSTS_A_NETWORK = 256;
const counts = new Uint16Array(NETWORKS);
const few = new Uint16Array(MOST_LANES);

/** Calls back with each host octet of a /24. */
function forEachHost(bits: Uint32Array, network: number, then: (octet: number) => void): void {
  for (let k = 0; k < NETWORK_WORDS; k++) {
    for (let rest = bits[network * NETWORK_WORDS + k]!; rest !== 0; rest &= rest - 1)
      then(k * 32 + 31 - Math.clz32(rest & -rest));
  }
}

function encodeLanes(group: Group, bits: Uint32Array): void {
  let at = 0;
  for (let network = 0; network < NETWORKS; network++) {
    if (counts[network] === HOSTS_A_NETWORK) few[at++] = lane(network << 8, true);
    else if (counts[network]! > 0)
      forEachHost(bits, network, (octet) => (few[at++] = lane((network << 8) | octet, false)));
  }
  putLanes(group, few, at);
}

/** Octets in the bytes 1 to 7, the last one repeated. */
function putHosts(row: Uint32Array, leaf: number, bits: Uint32Array, network: number): void {
  const octets = new Uint8Array(MOST_HOSTS);
  let count = 0;
  forEachHost(bits, network, (octet) => (octets[count++] = octet));
  octets.fill(octets[count - 1]!, count);
  const [a, b, c, d, e, f, g] = octets as unknown as number[];
  row[leaf * 2] = TAG.hosts | (a! << 8) | (b! << 16) | (c! << 24);
  row[leaf * 2 + 1] = d! | (e! << 8) | (f! << 16) | (g! << 24);
}

/** Where bits lie is relative to the row until `placeRow` has a place for it. */
function encodeRow(group: Group, bits: Uint32Array, leaves: number): void {
  const { row } = group;
  let leaf = 0;
  let used = leaves;
  for (let network = 0; network < NETWORKS; network++) {
    const count = counts[network]!;
    if (count === 0) continue;
    if (count === HOSTS_A_NETWORK) {
      row[leaf * 2] = TAG.all;
      row[leaf * 2 + 1] = 0;
    } else if (count <= MOST_HOSTS) putHosts(row, leaf, bits, network);
    else {
      row[leaf * 2] = TAG.bits;
      row[leaf * 2 + 1] = used;
      row.set(bits.subarray(network * NETWORK_WORDS, (network + 1) * NETWORK_WORDS), used * 2);
      used += NETWORK_WORDS / 2;
    }
    leaf++;
  }
  group.rowWords = used;
}

/** Encodes a bitmap. */
export function encodeGroup(group: Group, bits: Uint32Array): void {
  let mask = 0;
  let leaves = 0;
  let items = 0;
  let whole = 0;
  for (let network = 0; network < NETWORKS; network++) {
    const count = countOf(bits, network);
    counts[network] = count;
    if (count === 0) continue;
    mask |= 1 << network;
    leaves++;
    if (count === HOSTS_A_NETWORK) whole++;
    items += count === HOSTS_A_NETWORK ? 1 : count;
  }
  group.low = mask >>> 0;
  group.high = 0;
  group.rowWords = 0;
  group.common = leaves > MOST_LANES && whole === leaves;
  if (items === 0 || group.common) return;
  if (items <= MOST_LANES) encodeLanes(group, bits);
  else encodeRow(group, bits, leaves);
}

/** Copies the group's row to word `at` of an image; the root word then leads there. */
export function placeRow({ low, row, rowWords }: Group, words: Uint32Array, at: number): void {
  words.set(row.subarray(0, rowWords * 2), at * 2);
  const leaves = popcount(low);
  for (let leaf = at; leaf < at + leaves; leaf++) {
    if ((words[leaf * 2]! & 0xff) === TAG.bits) words[leaf * 2 + 1]! += at;
  }
}

/** Words of the row that a root word leads to, which is not the common one. */
export function rowWordsAt(words: Uint32Array, mask: number, at: number): number {
  const leaves = popcount(mask);
  let size = leaves;
  for (let leaf = at; leaf < at + leaves; leaf++) {
    if ((words[leaf * 2]! & 0xff) === TAG.bits) size += NETWORK_WORDS / 2;
  }
  return size;
}

const inLanes = (low: number, high: number, offset: number): boolean => {
  const lanes = [
    low & 0x3fff,
    (low >>> 14) & 0x3fff,
    (low >>> 28) | ((high & 0x3ff) << 4),
    (high >>> 10) & 0x3fff,
  ];
  return lanes.some((one) => one === lane(offset, false) || one === lane(offset & 0x1f00, true));
};

/** The look-up of bpf/include/set4.h from the root word on. */
export function groupHas(words: Uint32Array, root: number, offset: number): boolean {
  const low = words[root * 2]!;
  const high = words[root * 2 + 1]!;
  if (high >= LANES) return inLanes(low, high, offset);
  const bit = 1 << (offset >>> 8);
  if ((low & bit) === 0) return false;
  const leaf = high + popcount(low & (bit - 1));
  const [leafLow, leafHigh] = [words[leaf * 2]!, words[leaf * 2 + 1]!];
  const tag = leafLow & 0xff;
  if (tag === TAG.all) return true;
  const octet = offset & 0xff;
  if (tag === TAG.bits) return ((words[leafHigh * 2 + (octet >>> 5)]! >>> (octet & 31)) & 1) === 1;
  const octets = [
    leafLow >>> 8,
    leafLow >>> 16,
    leafLow >>> 24,
    leafHigh,
    leafHigh >>> 8,
    leafHigh >>> 16,
    leafHigh >>> 24,
  ];
  return octets.some((one) => (one & 0xff) === octet);
}
