/**
 * Whether a refreshed feed is believed. Pure; what is not believed changes nothing: the last good
 * version stays, and people read why. A feed is somebody else's file, and it cuts people off.
 */
import type { FeedSpec } from '../model/blocklist';
import { difference, overlaps, prefixSet, shorterThan, sizeOf } from './algebra';
import { unreadableLines, type FeedRefusal, type FeedReport, type FeedResult } from './feed';
import type { PrefixSet } from './types';

/** More of its lines that can't be read, and it is something else: an error page, another format. */
export const MAX_UNREADABLE_PERCENT = 10;
/** A shorter prefix in a feed is a mistake, or somebody's joke: 0.0.0.0/0. */
export const SHORTEST = { 4: 8, 6: 16 } as const;
/**
 * Where sources can be at all: below multicast (RFC 1112 §4, RFC 1122 §3.2.1.3) and in global unicast
 * space (RFC 4291 §2.4). Lists of bogons hold the rest in short prefixes, and rightly so.
 */
const UNICAST = prefixSet(['0.0.0.0/1', '128.0.0.0/2', '192.0.0.0/3', '2000::/3']);
/** Of those that must not be in a list, so many are named. */
const NAMED = 5;

export type Disbelief =
  /** It could not be fetched; `message` says why. */
  | { kind: 'failed'; message: string }
  | { kind: 'refused'; refusal: FeedRefusal }
  | { kind: 'truncated'; lines: number }
  /** `unreadable` of `lines` that should have held a prefix. */
  | { kind: 'unreadable'; unreadable: number; lines: number; examples: FeedReport['examples'] }
  | { kind: 'empty' }
  /** Shorter than SHORTEST. */
  | { kind: 'tooWide'; prefixes: string[] }
  /** Entries (`prefix`) that meet what must never be blocked (`other`). */
  | { kind: 'failsafe'; overlaps: { prefix: string; other: string }[] }
  /** `removed` of `of` prefixes would go. */
  | { kind: 'shrinks'; removed: number; of: number; maxShrinkPercent: number };

export interface Refreshed {
  /** Null: there was none before. */
  lastGood: PrefixSet | null;
  fetched: FeedResult | { ok: false; failed: string };
  maxShrinkPercent: FeedSpec['maxShrinkPercent'];
  /** What the nodes of the list must never block. */
  failsafe: PrefixSet;
}

export type FeedVerdict =
  | { believed: true; set: PrefixSet; report: FeedReport; added: number; removed: number }
  /** `report` where it could be read. */
  | { believed: false; why: Disbelief; report: FeedReport | null };

export function judgeFeed(refreshed: Refreshed): FeedVerdict {
  const { fetched, lastGood } = refreshed;
  if (!fetched.ok) {
    const why: Disbelief =
      'failed' in fetched
        ? { kind: 'failed', message: fetched.failed }
        : { kind: 'refused', refusal: fetched.refusal };
    return { believed: false, why, report: null };
  }
  const { set, report } = fetched;
  const change = lastGood ? difference(lastGood, set) : { added: sizeOf(set), removed: 0 };
  const why = unlike(report) ?? dangerous(set, refreshed.failsafe) ?? shrunk(refreshed, change);
  return why ? { believed: false, why, report } : { believed: true, set, report, ...change };
}

/** What is no feed, or half a one. */
function unlike(report: FeedReport): Disbelief | null {
  if (report.truncated) return { kind: 'truncated', lines: report.lines };
  const unreadable = unreadableLines(report);
  const ignored = Object.values(report.ignored).reduce((sum, count) => sum + count, 0);
  const lines = report.lines - ignored + unreadable;
  if (unreadable * 100 > lines * MAX_UNREADABLE_PERCENT)
    return { kind: 'unreadable', unreadable, lines, examples: report.examples };
  return report.prefixes === 0 ? { kind: 'empty' } : null;
}

function dangerous(set: PrefixSet, failsafe: PrefixSet): Disbelief | null {
  const wide = shorterThan(set, SHORTEST, Infinity).filter(
    (prefix) => overlaps(prefixSet([prefix]), UNICAST, 1).length > 0,
  );
  if (wide.length > 0) return { kind: 'tooWide', prefixes: wide.slice(0, NAMED) };
  const met = overlaps(set, failsafe, NAMED);
  return met.length > 0 ? { kind: 'failsafe', overlaps: met } : null;
}

function shrunk(
  { lastGood, maxShrinkPercent }: Refreshed,
  { removed }: { removed: number },
): Disbelief | null {
  const of = lastGood ? sizeOf(lastGood) : 0;
  return removed * 100 > of * maxShrinkPercent
    ? { kind: 'shrinks', removed, of, maxShrinkPercent }
    : null;
}

function refusalText(refusal: FeedRefusal): string {
  switch (refusal.kind) {
    case 'tooManyBytes':
      return `it has ${refusal.bytes} bytes, maxBytes is ${refusal.maxBytes}`;
    case 'tooManyPrefixes':
      return `it has ${refusal.prefixes} prefixes or more, maxPrefixes is ${refusal.maxPrefixes}`;
    case 'binary':
      return `it is no text: byte ${refusal.byte} in line ${refusal.line}, at offset ${refusal.offset}`;
  }
}

/** As the rest of "The feed was not believed: …". */
export function disbeliefText(why: Disbelief): string {
  switch (why.kind) {
    case 'failed':
      return why.message;
    case 'refused':
      return refusalText(why.refusal);
    case 'truncated':
      return `it ends in the middle of line ${why.lines}`;
    case 'unreadable': {
      const shown = why.examples.map(({ line, text }) => `line ${line} '${text}'`);
      return `${why.unreadable} of ${why.lines} lines hold no prefix: ${shown.join(', ')}`;
    }
    case 'empty':
      return 'it holds no prefix';
    case 'tooWide':
      return `it would block ${why.prefixes.join(', ')}: shorter than /${SHORTEST[4]} (IPv4) or /${SHORTEST[6]} (IPv6)`;
    case 'failsafe': {
      const met = why.overlaps.map(({ prefix, other }) => `${prefix} meets ${other}`);
      return `it would block what is failsafe: ${met.join(', ')}`;
    }
    case 'shrinks':
      return `${why.removed} of ${why.of} prefixes would go, maxShrinkPercent is ${why.maxShrinkPercent}`;
  }
}
