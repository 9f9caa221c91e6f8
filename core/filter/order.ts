/**
 * The order of prefixes, and a radix sort by it: a million comparisons by callback take seconds.
 * Prefixes are rows of 1 (IPv4) or 4 (IPv6) words, whatever the family.
 */

export interface Rows {
  /** `stride` words a prefix, the most significant first. */
  readonly words: Uint32Array;
  readonly lengths: Uint8Array;
  readonly stride: 1 | 4;
}

/** By address, then by length: below 0 when row `i` of `a` comes before row `j` of `b`. */
export function compare(a: Rows, i: number, b: Rows, j: number): number {
  const { stride } = a;
  for (let k = 0; k < stride; k++) {
    const difference = a.words[i * stride + k]! - b.words[j * stride + k]!;
    if (difference !== 0) return difference;
  }
  return a.lengths[i]! - b.lengths[j]!;
}

function inOrder(rows: Rows): boolean {
  for (let i = 1; i < rows.lengths.length; i++) if (compare(rows, i - 1, rows, i) > 0) return false;
  return true;
}

const DIGIT_BITS = 11;
const BUCKETS = 1 << DIGIT_BITS;

/** Row numbers in some order, and room for them in the next. */
interface Hands {
  order: Uint32Array;
  spare: Uint32Array;
}

/** One stable pass, by 11 bits of `source[first + row * step]`. */
function pass(
  hands: Hands,
  source: Uint32Array | Uint8Array,
  first: number,
  step: number,
  shift: number,
): void {
  const { order, spare } = hands;
  const starts = new Uint32Array(BUCKETS);
  for (let at = first; at < source.length; at += step)
    starts[(source[at]! >>> shift) & (BUCKETS - 1)]!++;
  if (starts.includes(order.length)) return;
  let sum = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const count = starts[bucket]!;
    starts[bucket] = sum;
    sum += count;
  }
  for (let i = 0; i < order.length; i++) {
    const row = order[i]!;
    const bucket = (source[first + row * step]! >>> shift) & (BUCKETS - 1);
    spare[starts[bucket]!++] = row;
  }
  hands.order = spare;
  hands.spare = order;
}

/** By the first `words` words, the least significant digit first. */
function sortByWords(hands: Hands, rows: Rows, words: number): void {
  for (let word = words - 1; word >= 0; word--)
    for (let shift = 0; shift < 32; shift += DIGIT_BITS)
      pass(hands, rows.words, word, rows.stride, shift);
}

/** Rows so near one another that insertion may still move them. */
const NEAR = 32;

/** Of rows nearly in order; false, and some order, where one would have to go far. */
function insert(order: Uint32Array, rows: Rows): boolean {
  for (let i = 1; i < order.length; i++) {
    const row = order[i]!;
    const least = Math.max(i - NEAR, 0);
    let at = i;
    for (; at > least && compare(rows, order[at - 1]!, rows, row) > 0; at--)
      order[at] = order[at - 1]!;
    order[at] = row;
    if (at > 0 && at === least) return false;
  }
  return true;
}

/** Row numbers in order: by address, then by length. */
export function orderOf(rows: Rows): Uint32Array {
  const count = rows.lengths.length;
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  if (inOrder(rows)) return order;
  const hands: Hands = { order, spare: new Uint32Array(count) };
  if (rows.stride === 4) {
    // The first half of an IPv6 address mostly tells them apart: half the passes.
    sortByWords(hands, rows, 2);
    if (insert(hands.order, rows)) return hands.order;
  }
  pass(hands, rows.lengths, 0, 1, 0);
  sortByWords(hands, rows, rows.stride);
  return hands.order;
}
