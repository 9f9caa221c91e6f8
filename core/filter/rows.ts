/**
 * One family of a set, whatever its width: prefixes as rows of 1 (IPv4) or 4 (IPv6) words. What needs
 * no family is written once, here; callers see core/filter/algebra.ts.
 */
import { compare, orderOf, type Rows } from './order';
import type { Prefixes4, Prefixes6 } from './types';

export { compare, type Rows };

export const rows4 = ({ addresses, lengths }: Prefixes4): Rows => ({
  words: addresses,
  lengths,
  stride: 1,
});

export const rows6 = ({ words, lengths }: Prefixes6): Rows => ({ words, lengths, stride: 4 });

/** The bits of word `k` that belong to a prefix of this length. */
export function maskOf(length: number, k: number): number {
  const bits = length - 32 * k;
  if (bits >= 32) return 0xffffffff;
  return bits <= 0 ? 0 : (-1 << (32 - bits)) >>> 0;
}

/** Whether row `i` of `a` contains row `j` of `b`, or is the same. */
export function covers(a: Rows, i: number, b: Rows, j: number): boolean {
  const { stride } = a;
  const length = a.lengths[i]!;
  if (length > b.lengths[j]!) return false;
  for (let k = 0; k < stride && length > 32 * k; k++) {
    const differing = a.words[i * stride + k]! ^ b.words[j * stride + k]!;
    if ((differing & maskOf(length, k)) !== 0) return false;
  }
  return true;
}

/** These rows, in this order. */
function pick({ words, lengths, stride }: Rows, order: Uint32Array): Rows {
  const picked = new Uint32Array(order.length * stride);
  const pickedLengths = new Uint8Array(order.length);
  for (let i = 0; i < order.length; i++) {
    const row = order[i]!;
    for (let k = 0; k < stride; k++) picked[i * stride + k] = words[row * stride + k]!;
    pickedLengths[i] = lengths[row]!;
  }
  return { words: picked, lengths: pickedLengths, stride };
}

/** Sorted, and free of what another row covers. Prefixes nest, so the last kept row tells all. */
export function normaliseRows(rows: Rows): { rows: Rows; duplicates: number; covered: number } {
  const order = orderOf(rows);
  let kept = 0;
  let duplicates = 0;
  for (let i = 0; i < order.length; i++) {
    const row = order[i]!;
    if (i > 0 && compare(rows, order[i - 1]!, rows, row) === 0) duplicates++;
    else if (kept === 0 || !covers(rows, order[kept - 1]!, rows, row)) order[kept++] = row;
  }
  const covered = order.length - kept - duplicates;
  return { rows: pick(rows, order.subarray(0, kept)), duplicates, covered };
}

/** How many of the sorted `rows` come before row `j` of `other`, or are the same. */
function rankOf(rows: Rows, other: Rows, j: number): number {
  let low = 0;
  let high = rows.lengths.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(rows, middle, other, j) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The one row of normalised `rows` that contains row `j` of `other`; −1: none does. */
export function rowAround(rows: Rows, other: Rows, j: number): number {
  const rank = rankOf(rows, other, j);
  return rank > 0 && covers(rows, rank - 1, other, j) ? rank - 1 : -1;
}

/** The first row of normalised `rows` that lies in row `j` of `other` and is longer; −1: none does. */
export function rowWithin(rows: Rows, other: Rows, j: number): number {
  const rank = rankOf(rows, other, j);
  return rank < rows.lengths.length && covers(other, j, rows, rank) ? rank : -1;
}

/** Whether these rows are the two halves of the prefix one bit shorter than they are. */
function siblings({ words, lengths, stride }: Rows, i: number, j: number): boolean {
  const length = lengths[i]!;
  if (length === 0 || lengths[j] !== length) return false;
  for (let k = 0; k < stride; k++) {
    const last = maskOf(length, k) ^ maskOf(length - 1, k);
    if ((words[i * stride + k]! ^ words[j * stride + k]!) >>> 0 !== last >>> 0) return false;
  }
  return true;
}

/**
 * The fewest rows that hold the same addresses, of normalised ones. Then a prefix whose addresses are
 * all in the set lies in one single row.
 */
export function aggregateRows(rows: Rows): Rows {
  const { stride } = rows;
  const words = rows.words.slice();
  const lengths = rows.lengths.slice();
  const merged = { words, lengths, stride };
  let kept = 0;
  for (let i = 0; i < lengths.length; i++) {
    words.copyWithin(kept * stride, i * stride, (i + 1) * stride);
    lengths[kept++] = lengths[i]!;
    while (kept > 1 && siblings(merged, kept - 2, kept - 1)) lengths[--kept - 1]!--;
  }
  return { words: words.subarray(0, kept * stride), lengths: lengths.subarray(0, kept), stride };
}

/** How many rows of `these` are not in one single row of `those`; both sorted. */
export function countOutside(these: Rows, those: Rows): number {
  let outside = 0;
  let next = 0;
  for (let i = 0; i < these.lengths.length; i++) {
    while (next < those.lengths.length && compare(those, next, these, i) <= 0) next++;
    if (next === 0 || !covers(those, next - 1, these, i)) outside++;
  }
  return outside;
}
