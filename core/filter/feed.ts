/**
 * The bytes of a feed → a set of prefixes and a report of what was in it. Lenient with what the public
 * feeds do (comments, CRLF, host bits, IPv4 in IPv6 clothes), and it says so in numbers; what it could
 * not read is counted and shown. Whether the result is to be believed: core/filter/feed-policy.ts.
 */
import type { FeedSpec } from '../model/blocklist';
import { sizeOf } from './algebra';
import { Collector } from './collector';
import { detect, UNREADABLE, type FeedForm, type Ignored } from './feed-lines';
import { isBlank, LF, Scanner } from './scanner';
import type { PrefixSet } from './types';

export type FeedLimits = Pick<FeedSpec, 'format' | 'column' | 'maxBytes' | 'maxPrefixes'>;

export interface FeedReport {
  format: FeedForm;
  /** Of a CSV: the column read, from 1. */
  column: number | null;
  /** All of them. */
  lines: number;
  /** In the set. */
  prefixes: number;
  /** Lines without a prefix; what does not occur is left out. */
  ignored: Partial<Record<Ignored, number>>;
  /** The first of those that should have held one; `text` is cut off, what is not ASCII is `?`. */
  examples: { line: number; reason: Ignored; text: string }[];
  /** Prefixes whose host bits were set: cleared. */
  masked: number;
  /** IPv4 prefixes that were written as IPv6 (::ffff:192.0.2.0/120): taken as IPv4. */
  mapped: number;
  duplicates: number;
  /** Prefixes that lie in a shorter one. */
  covered: number;
  /** The last line has no end and can't be read: the transfer was cut short, or the file is. */
  truncated: boolean;
}

export type FeedRefusal =
  | { kind: 'tooManyBytes'; bytes: number; maxBytes: number }
  /** So many at least: reading stopped there. */
  | { kind: 'tooManyPrefixes'; prefixes: number; maxPrefixes: number }
  /** Not text: a byte (at `offset`) that no line of text has; compressed, perhaps. */
  | { kind: 'binary'; line: number; offset: number; byte: number };

export type FeedResult =
  { ok: true; set: PrefixSet; report: FeedReport } | { ok: false; refusal: FeedRefusal };

const EXAMPLES = 5;
const EXAMPLE_LENGTH = 60;
const BOM = [0xef, 0xbb, 0xbf];

const isUnreadable = (reason: Ignored): boolean =>
  (UNREADABLE as readonly Ignored[]).includes(reason);

/** Lines that should have held a prefix and held none that could be read. */
export const unreadableLines = ({ ignored }: FeedReport): number =>
  UNREADABLE.reduce((sum, reason) => sum + (ignored[reason] ?? 0), 0);

const startOf = (bytes: Uint8Array): number =>
  BOM.every((byte, i) => bytes[i] === byte) ? BOM.length : 0;

const lineEnd = (bytes: Uint8Array, start: number): number => {
  const end = bytes.indexOf(LF, start);
  return end < 0 ? bytes.length : end;
};

function* linesOf(bytes: Uint8Array): Generator<readonly [number, number]> {
  for (let start = startOf(bytes), end = 0; start < bytes.length; start = end + 1) {
    end = lineEnd(bytes, start);
    yield [start, end];
  }
}

/** The first byte in [start, end) that no text has; −1: none. */
function controlAt(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if ((byte < 0x20 && !isBlank(byte)) || byte === 0x7f) return at;
  }
  return -1;
}

function excerpt(bytes: Uint8Array, start: number, end: number): string {
  const shown = bytes.subarray(start, Math.min(end, start + EXAMPLE_LENGTH));
  return String.fromCharCode(
    ...shown.map((byte) => (byte >= 0x20 && byte < 0x7f ? byte : 0x3f)),
  ).trim();
}

/** What is counted line by line. */
interface Tally {
  lines: number;
  ignored: FeedReport['ignored'];
  examples: FeedReport['examples'];
  truncated: boolean;
}

export function parseFeed(bytes: Uint8Array, limits: FeedLimits): FeedResult {
  const { maxBytes, maxPrefixes } = limits;
  if (bytes.length > maxBytes)
    return { ok: false, refusal: { kind: 'tooManyBytes', bytes: bytes.length, maxBytes } };
  const scanner = new Scanner(bytes);
  const { form, column, read } = detect(scanner, linesOf(bytes), limits);
  const found = new Collector(maxPrefixes);
  const tally: Tally = { lines: 0, ignored: {}, examples: [], truncated: false };
  let headerMayCome = form !== 'plain';
  for (let start = startOf(bytes), end = 0; start < bytes.length; start = end + 1) {
    end = lineEnd(bytes, start);
    tally.lines++;
    scanner.at = start;
    scanner.end = end;
    const outcome = read(scanner);
    if (outcome === 'prefix') found.prefix(scanner);
    else if (outcome === 'range') found.range(scanner);
    else {
      const refusal = ignore(tally, outcome, { bytes, start, end }, headerMayCome);
      if (refusal) return { ok: false, refusal };
      if (outcome === 'blank' || outcome === 'comment') continue;
    }
    headerMayCome = false;
    const prefixes = found.excess();
    if (prefixes !== null)
      return { ok: false, refusal: { kind: 'tooManyPrefixes', prefixes, maxPrefixes } };
  }
  const set = found.compact();
  const prefixes = sizeOf(set);
  if (prefixes > maxPrefixes)
    return { ok: false, refusal: { kind: 'tooManyPrefixes', prefixes, maxPrefixes } };
  const { masked, mapped, duplicates, covered } = found;
  const counts = { prefixes, masked, mapped, duplicates, covered };
  return { ok: true, set, report: { format: form, column, ...tally, ...counts } };
}

interface Line {
  bytes: Uint8Array;
  start: number;
  end: number;
}

/** Counts a line without a prefix; a refusal where it is no text at all. */
function ignore(
  tally: Tally,
  outcome: Ignored,
  { bytes, start, end }: Line,
  mayBeHeader: boolean,
): FeedRefusal | null {
  let reason = outcome;
  if (isUnreadable(outcome)) {
    const offset = controlAt(bytes, start, end);
    if (offset >= 0) return { kind: 'binary', line: tally.lines, offset, byte: bytes[offset]! };
    if (mayBeHeader) reason = 'header';
    else if (tally.examples.length < EXAMPLES)
      tally.examples.push({ line: tally.lines, reason, text: excerpt(bytes, start, end) });
    tally.truncated = end === bytes.length;
  }
  tally.ignored[reason] = (tally.ignored[reason] ?? 0) + 1;
  return null;
}
