/**
 * The packed form of a set: what etcd keeps, the edge stream carries, and an edge has on its disk.
 * Equal sets have equal bytes, so a hash names a set. All integers are big-endian:
 *
 *   "AePS" · u32 version · u32 IPv4 prefixes · u32 IPv6 prefixes
 *   · each IPv4 prefix: 4 bytes, u8 length · each IPv6 prefix: 16 bytes, u8 length
 *
 * in the order of a normalised set. It is cut into chunks where its content says so, not by size: one
 * prefix more moves all that follows, and only the chunk that it falls into is new to an edge.
 */
import { CHUNK_BYTES, type BlobRef } from '../model/blocklist';
import { sha256Of } from '../model/hash';
import { compare, covers, maskOf, rows4, rows6, type Rows } from './rows';
import type { PrefixSet } from './types';

const MAGIC = 0x41655053;
const VERSION = 1;
const HEADER_BYTES = 16;
const COUNT4_AT = 8;
const COUNT6_AT = 12;
const ENTRY_BYTES = { 1: 5, 4: 17 } as const;

export type BlobError =
  /** Not the packed form at all. */
  | { kind: 'foreign' }
  /** Written by another version of Aether. */
  | { kind: 'version'; version: number; known: number }
  /** Cut off, or longer than its header says. */
  | { kind: 'size'; bytes: number; expected: number }
  /** The `index`th prefix is none, or is not in order, or lies in the one before it. */
  | { kind: 'prefix'; index: number; wrong: 'length' | 'hostBits' | 'order' | 'covered' };

export type JoinError =
  | { kind: 'chunkMissing'; sha256: string }
  /** Its bytes are not those that its name promises. */
  | { kind: 'chunkDamaged'; sha256: string }
  | { kind: 'blobDamaged'; sha256: string };

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const bytesFor = (count4: number, count6: number): number =>
  HEADER_BYTES + count4 * ENTRY_BYTES[1] + count6 * ENTRY_BYTES[4];

function writeRows(view: DataView, start: number, { words, lengths, stride }: Rows): number {
  let at = start;
  for (let i = 0; i < lengths.length; i++) {
    for (let k = 0; k < stride; k++, at += 4) view.setUint32(at, words[i * stride + k]!);
    view.setUint8(at++, lengths[i]!);
  }
  return at;
}

export function pack({ v4, v6 }: PrefixSet): Uint8Array {
  const bytes = new Uint8Array(bytesFor(v4.lengths.length, v6.lengths.length));
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC);
  view.setUint32(4, VERSION);
  view.setUint32(COUNT4_AT, v4.lengths.length);
  view.setUint32(COUNT6_AT, v6.lengths.length);
  writeRows(view, writeRows(view, HEADER_BYTES, rows4(v4)), rows6(v6));
  return bytes;
}

function readRows(view: DataView, start: number, count: number, stride: 1 | 4): Rows {
  const words = new Uint32Array(count * stride);
  const lengths = new Uint8Array(count);
  let at = start;
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < stride; k++, at += 4) words[i * stride + k] = view.getUint32(at);
    lengths[i] = view.getUint8(at++);
  }
  return { words, lengths, stride };
}

type Wrong = Extract<BlobError, { kind: 'prefix' }>['wrong'];

function wrongAt(rows: Rows, i: number): Wrong | null {
  const { words, lengths, stride } = rows;
  const length = lengths[i]!;
  if (length > 32 * stride) return 'length';
  for (let k = 0; k < stride; k++)
    if ((words[i * stride + k]! & ~maskOf(length, k)) !== 0) return 'hostBits';
  if (i === 0) return null;
  if (compare(rows, i - 1, rows, i) >= 0) return 'order';
  return covers(rows, i - 1, rows, i) ? 'covered' : null;
}

function firstWrong(rows: Rows, offset: number): BlobError | null {
  for (let i = 0; i < rows.lengths.length; i++) {
    const wrong = wrongAt(rows, i);
    if (wrong) return { kind: 'prefix', index: offset + i, wrong };
  }
  return null;
}

/** Of bytes from anywhere: what it returns is normalised. */
export function unpack(
  bytes: Uint8Array,
): { ok: true; set: PrefixSet } | { ok: false; error: BlobError } {
  const view = viewOf(bytes);
  if (bytes.length < HEADER_BYTES || view.getUint32(0) !== MAGIC)
    return { ok: false, error: { kind: 'foreign' } };
  const version = view.getUint32(4);
  if (version !== VERSION)
    return { ok: false, error: { kind: 'version', version, known: VERSION } };
  const count4 = view.getUint32(COUNT4_AT);
  const count6 = view.getUint32(COUNT6_AT);
  const expected = bytesFor(count4, count6);
  if (bytes.length !== expected)
    return { ok: false, error: { kind: 'size', bytes: bytes.length, expected } };
  const v4 = readRows(view, HEADER_BYTES, count4, 1);
  const v6 = readRows(view, bytesFor(count4, 0), count6, 4);
  const error = firstWrong(v4, 0) ?? firstWrong(v6, count4);
  if (error) return { ok: false, error };
  const { words: addresses, lengths } = v4;
  return {
    ok: true,
    set: { v4: { addresses, lengths }, v6: { words: v6.words, lengths: v6.lengths } },
  };
}

/** No chunk but the last is smaller: a piece costs a round trip and a key. */
const LEAST_BYTES = 64 * 1024;
/** A cut after 1 of so many entries: 160 KiB of IPv4 on average. */
const CUT_EVERY_LOG2 = 15;

/** FNV-1a, its high bits. */
function cutsAfter(blob: Uint8Array, start: number, end: number): boolean {
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ blob[at]!, 0x01000193);
  return hash >>> (32 - CUT_EVERY_LOG2) === 0;
}

/** Where the chunks of a blob end. */
function cuts(blob: Uint8Array): number[] {
  const ends: number[] = [];
  const end4 = bytesFor(viewOf(blob).getUint32(COUNT4_AT), 0);
  let start = 0;
  for (let at = HEADER_BYTES; at < blob.length;) {
    const next = at + (at < end4 ? ENTRY_BYTES[1] : ENTRY_BYTES[4]);
    if (next - start > CHUNK_BYTES) ends.push((start = at));
    else if (next - start >= LEAST_BYTES && cutsAfter(blob, at, next)) ends.push((start = next));
    at = next;
  }
  if (start < blob.length) ends.push(blob.length);
  return ends;
}

/** A blob from `pack` as pieces, views into it, in the order of `ref.chunks`. */
export function chunk(blob: Uint8Array): { ref: BlobRef; chunks: Uint8Array[] } {
  const view = viewOf(blob);
  const ends = cuts(blob);
  const chunks = ends.map((end, i) => blob.subarray(ends[i - 1] ?? 0, end));
  const count = view.getUint32(COUNT4_AT) + view.getUint32(COUNT6_AT);
  const named = chunks.map((bytes) => ({ sha256: sha256Of(bytes), bytes: bytes.length }));
  return { ref: { sha256: sha256Of(blob), count, chunks: named }, chunks };
}

/** The blob again, of chunks from anywhere; each is held against its name, and so is the whole. */
export function join(
  ref: BlobRef,
  find: (sha256: string) => Uint8Array | null,
): { ok: true; blob: Uint8Array } | { ok: false; error: JoinError } {
  const chunks: Uint8Array[] = [];
  for (const { sha256, bytes } of ref.chunks) {
    const found = find(sha256);
    if (!found) return { ok: false, error: { kind: 'chunkMissing', sha256 } };
    if (found.length !== bytes || sha256Of(found) !== sha256)
      return { ok: false, error: { kind: 'chunkDamaged', sha256 } };
    chunks.push(found);
  }
  const blob = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const bytes of chunks) {
    blob.set(bytes, at);
    at += bytes.length;
  }
  if (sha256Of(blob) !== ref.sha256)
    return { ok: false, error: { kind: 'blobDamaged', sha256: ref.sha256 } };
  return { ok: true, blob };
}
