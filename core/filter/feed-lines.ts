/** Where in a line of a feed its prefix stands; and which form a feed has, told by its first lines. */
import type { FeedSpec } from '../model/blocklist';
import {
  COLON,
  COMMA,
  isBlank,
  PIPE,
  QUOTE,
  SEMICOLON,
  TAB,
  type Scanned,
  type Scanner,
} from './scanner';

export type FeedForm = 'plain' | 'csv' | 'dshield' | 'json';

/** No harm in them. */
export const SKIPPED = ['blank', 'comment', 'header', 'metadata'] as const;
/** What should have been a prefix and was none that could be read. */
export const UNREADABLE = [
  'noPrefix',
  'badLength',
  'badRange',
  'trailingText',
  'noColumn',
] as const;
export type Ignored = (typeof SKIPPED)[number] | (typeof UNREADABLE)[number];
export type Outcome = 'prefix' | 'range' | Ignored;

/** Reads what stands in [at, end) of the scanner, a line without its end. */
export type LineReader = (scanner: Scanner) => Outcome;

export interface Layout {
  form: FeedForm;
  /** Of a CSV, from 1; else null. */
  column: number | null;
  read: LineReader;
}

/** Nothing to read here: blank or a comment; else null, and the scanner stands at what there is. */
function nothing(scanner: Scanner): 'blank' | 'comment' | null {
  scanner.skipBlanks();
  if (scanner.at === scanner.end) return 'blank';
  return scanner.commentHere() ? 'comment' : null;
}

const readable = (outcome: Outcome): boolean => outcome === 'prefix' || outcome === 'range';

/** One prefix, address or range, and a comment perhaps. */
const plain: LineReader = (scanner) => {
  const empty = nothing(scanner);
  if (empty) return empty;
  const found = scanner.scan();
  if (!readable(found)) return found;
  return nothing(scanner) ? found : 'trailingText';
};

/** The prefix that fills [start, end), blanks beside it allowed. */
function field(scanner: Scanner, start: number, end: number): Outcome {
  const lineEnd = scanner.end;
  scanner.at = start;
  scanner.end = end;
  scanner.skipBlanks();
  const found: Scanned = scanner.scan();
  scanner.skipBlanks();
  const whole = scanner.at === end;
  scanner.end = lineEnd;
  return whole || !readable(found) ? found : 'trailingText';
}

/** Behind the field that begins at `at`: where its separator stands, or the end of the line. */
function fieldEnd({ bytes, end }: Scanner, at: number, separator: number): number {
  let quoted = false;
  let i = at;
  for (; i < end; i++) {
    if (bytes[i] === QUOTE) quoted = !quoted;
    else if (bytes[i] === separator && !quoted) break;
  }
  return i;
}

/** RFC 4180, but for line breaks in a field: the `column`th field, which a quote may enclose. */
const csv =
  (separator: number, column: number): LineReader =>
  (scanner) => {
    const lineStart = scanner.at;
    const empty = nothing(scanner);
    if (empty) return empty;
    const { bytes, end } = scanner;
    let start = separator === TAB ? lineStart : scanner.at;
    for (let skipped = 1; skipped < column; skipped++) {
      start = fieldEnd(scanner, start, separator) + 1;
      if (start > end) return 'noColumn';
    }
    let stop = fieldEnd(scanner, start, separator);
    while (start < stop && isBlank(bytes[start]!)) start++;
    while (stop > start && isBlank(bytes[stop - 1]!)) stop--;
    const quoted = stop - start >= 2 && bytes[start] === QUOTE && bytes[stop - 1] === QUOTE;
    return quoted ? field(scanner, start + 1, stop - 1) : field(scanner, start, stop);
  };

/** DShield's block.txt: first address, last address, length, and more, between tabs. */
const dshield: LineReader = (scanner) => {
  const empty = nothing(scanner);
  if (empty) return empty;
  const first = scanner.scan();
  if (first !== 'prefix') return first;
  const range = scanner.scanLast();
  scanner.skipBlanks();
  if (range === 'range' && !(scanner.scanLength() && isBlankOrEnd(scanner))) return 'badLength';
  return range;
};

const isBlankOrEnd = (scanner: Scanner): boolean =>
  scanner.at === scanner.end || isBlank(scanner.peek());

const bytesOf = (text: string): number[] => Array.from(text, (letter) => letter.charCodeAt(0));
const CIDR = bytesOf('"cidr"');
const METADATA = bytesOf('"metadata"');

/** Behind the next `word` in the line; −1: not there. */
function behind({ bytes, at, end }: Scanner, word: readonly number[]): number {
  for (let i = at; i <= end - word.length; i++) {
    let k = 0;
    while (k < word.length && bytes[i + k] === word[k]) k++;
    if (k === word.length) return i + k;
  }
  return -1;
}

/** Spamhaus DROP: an object a line, its prefix under `cidr`, and one of metadata. */
const json: LineReader = (scanner) => {
  const empty = nothing(scanner);
  if (empty) return empty;
  const value = behind(scanner, CIDR);
  if (value < 0) return behind(scanner, METADATA) < 0 ? 'noPrefix' : 'metadata';
  scanner.at = value;
  scanner.skipBlanks();
  if (!scanner.skip(COLON)) return 'noPrefix';
  scanner.skipBlanks();
  if (!scanner.skip(QUOTE)) return 'noPrefix';
  const found = scanner.scan();
  return scanner.skip(QUOTE) || !readable(found) ? found : 'trailingText';
};

const SEPARATORS = [COMMA, SEMICOLON, TAB, PIPE] as const;
/** Content lines that are looked at before a form is decided on. */
const LOOKED_AT = 50;
/** Columns that are looked through for the one with prefixes. */
const COLUMNS = 32;

/** The outcome of one line, by itself. */
type Try = (read: LineReader) => Outcome;

/** The CSV that this line is of: by the column asked for, else by the first that holds a prefix. */
function csvOf(attempt: Try, wanted: number, anyColumn: boolean): Layout | null {
  const columns = [wanted, ...(anyColumn ? Array.from({ length: COLUMNS }, (_, i) => i + 1) : [])];
  for (const column of columns)
    for (const separator of SEPARATORS) {
      const read = csv(separator, column);
      if (readable(attempt(read))) return { form: 'csv', column, read };
    }
  return null;
}

const fixed = (form: Exclude<FeedForm, 'csv'>, read: LineReader): Layout => ({
  form,
  column: null,
  read,
});

function layoutOf(attempt: Try, format: FeedSpec['format'], column: number): Layout | null {
  if (format === 'csv') return csvOf(attempt, column, false);
  for (const layout of [fixed('plain', plain), fixed('json', json), fixed('dshield', dshield)])
    if (readable(attempt(layout.read))) return layout;
  return csvOf(attempt, column, true);
}

/** How to read a feed, by the first of its lines that can be read at all. `lines` yields [start, end). */
export function detect(
  scanner: Scanner,
  lines: Iterable<readonly [start: number, end: number]>,
  { format, column }: Pick<FeedSpec, 'format' | 'column'>,
): Layout {
  const otherwise: Layout =
    format === 'csv' ? { form: 'csv', column, read: csv(COMMA, column) } : fixed('plain', plain);
  if (format === 'plain') return otherwise;
  let looked = 0;
  for (const [start, end] of lines) {
    const attempt: Try = (read) => {
      scanner.at = start;
      scanner.end = end;
      return read(scanner);
    };
    const outcome = attempt(plain);
    if (outcome === 'blank' || outcome === 'comment') continue;
    const layout = layoutOf(attempt, format, column);
    if (layout) return layout;
    if (++looked === LOOKED_AT) break;
  }
  return otherwise;
}
