/**
 * What one packed set (`blob.ts`) has that another one has not: what travels to an edge that holds the former version
 * of a list. All integers are big-endian:
 *
 *   "AePD" · u32 version · u32 IPv4 taken away · u32 IPv4 added · u32 IPv6 taken away · u32 IPv6 added
 *   · the entries themselves, in that order, as in a packed set
 *
 * Both work on the packed bytes: entries of one family have one size and are in order as bytes.
 */
import { DELTA_MAX_BYTES } from '../model/blocklist';

const MAGIC = 0x41655044;
const SET_MAGIC = 0x41655053;
const VERSION = 1;
const HEADER_BYTES = 24;
const SET_HEADER_BYTES = 16;
const SIZES = [5, 17] as const;

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The entries of each family; null: not a packed set. */
function familiesOf(blob: Uint8Array): [Uint8Array, Uint8Array] | null {
  if (blob.length < SET_HEADER_BYTES) return null;
  const view = viewOf(blob);
  if (view.getUint32(0) !== SET_MAGIC || view.getUint32(4) !== VERSION) return null;
  const end4 = SET_HEADER_BYTES + view.getUint32(8) * SIZES[0];
  const end6 = end4 + view.getUint32(12) * SIZES[1];
  if (end6 !== blob.length) return null;
  return [blob.subarray(SET_HEADER_BYTES, end4), blob.subarray(end4, end6)];
}

/** Below 0, 0 or above as entry `i` of `a` comes before, is, or comes after entry `j` of `b`; places in bytes. */
function compare(a: Uint8Array, i: number, b: Uint8Array, j: number, size: number): number {
  for (let k = 0; k < size; k++) {
    const less = a[i + k]! - b[j + k]!;
    if (less !== 0) return less;
  }
  return 0;
}

interface Edits {
  gone: Uint8Array[];
  added: Uint8Array[];
}

function edits(from: Uint8Array, to: Uint8Array, size: number): Edits {
  const found: Edits = { gone: [], added: [] };
  let [i, j] = [0, 0];
  while (i < from.length || j < to.length) {
    let order: number;
    if (i >= from.length) order = 1;
    else order = j >= to.length ? -1 : compare(from, i, to, j, size);
    if (order < 0) found.gone.push(from.subarray(i, i + size));
    if (order > 0) found.added.push(to.subarray(j, j + size));
    if (order <= 0) i += size;
    if (order >= 0) j += size;
  }
  return found;
}

/** Null: one of them is not a packed set, or so much has changed that the whole serves better. */
export function deltaOf({ from, to }: { from: Uint8Array; to: Uint8Array }): Uint8Array | null {
  const [before, after] = [familiesOf(from), familiesOf(to)];
  if (before === null || after === null) return null;
  const [four, six] = SIZES.map((size, k) => edits(before[k]!, after[k]!, size)) as [Edits, Edits];
  const parts = [four.gone, four.added, six.gone, six.added];
  const bytes = parts.flat().reduce((sum, { length }) => sum + length, HEADER_BYTES);
  if (bytes > DELTA_MAX_BYTES) return null;
  const delta = new Uint8Array(bytes);
  const view = viewOf(delta);
  view.setUint32(0, MAGIC);
  view.setUint32(4, VERSION);
  parts.forEach(({ length }, k) => view.setUint32(8 + 4 * k, length));
  let at = HEADER_BYTES;
  for (const entry of parts.flat()) {
    delta.set(entry, at);
    at += entry.length;
  }
  return delta;
}

/** Of bytes from anywhere: what it gives is held against its name by the caller. Null: it does not fit `from`. */
export function applyDelta(from: Uint8Array, delta: Uint8Array): Uint8Array | null {
  const before = familiesOf(from);
  if (before === null || delta.length < HEADER_BYTES) return null;
  const view = viewOf(delta);
  if (view.getUint32(0) !== MAGIC || view.getUint32(4) !== VERSION) return null;
  const parts: Uint8Array[] = [];
  let at = HEADER_BYTES;
  for (let k = 0; k < 4; k++) {
    const end = at + view.getUint32(8 + 4 * k) * SIZES[k < 2 ? 0 : 1];
    if (end > delta.length) return null;
    parts.push(delta.subarray(at, end));
    at = end;
  }
  if (at !== delta.length) return null;
  const four = merged(before[0], parts[0]!, parts[1]!, SIZES[0]);
  const six = merged(before[1], parts[2]!, parts[3]!, SIZES[1]);
  if (four === null || six === null) return null;
  const blob = new Uint8Array(SET_HEADER_BYTES + four.length + six.length);
  blob.set(from.subarray(0, 8));
  viewOf(blob).setUint32(8, four.length / SIZES[0]);
  viewOf(blob).setUint32(12, six.length / SIZES[1]);
  blob.set(four, SET_HEADER_BYTES);
  blob.set(six, SET_HEADER_BYTES + four.length);
  return blob;
}

/** Copies what lies between two edits in one go: a million entries and a few edits cost as little as those. */
function merged(
  from: Uint8Array,
  gone: Uint8Array,
  added: Uint8Array,
  size: number,
): Uint8Array | null {
  if (gone.length > from.length) return null;
  const to = new Uint8Array(from.length - gone.length + added.length);
  let [read, written, g, a] = [0, 0, 0, 0];
  while (g < gone.length || a < added.length) {
    const takes = a >= added.length || (g < gone.length && compare(gone, g, added, a, size) < 0);
    const at = takes ? find(from, read, gone, g, size) : find(from, read, added, a, size);
    const run = from.subarray(read, at);
    if (written + run.length + (takes ? 0 : size) > to.length) return null;
    to.set(run, written);
    written += run.length;
    read = at;
    if (takes) {
      if (read >= from.length || compare(from, read, gone, g, size) !== 0) return null;
      read += size;
      g += size;
    } else {
      to.set(added.subarray(a, a + size), written);
      written += size;
      a += size;
    }
  }
  if (written + from.length - read !== to.length) return null;
  to.set(from.subarray(read), written);
  return to;
}

/** Where the first entry of `rows`, from `start` on, lies that is not before `entry`. */
function find(
  rows: Uint8Array,
  start: number,
  of: Uint8Array,
  entry: number,
  size: number,
): number {
  let [low, high] = [start / size, rows.length / size];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(rows, middle * size, of, entry, size) < 0) low = middle + 1;
    else high = middle;
  }
  return low * size;
}
