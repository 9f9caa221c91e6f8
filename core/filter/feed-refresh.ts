/** One refresh of a feed, reckoned through: from its bytes to the pieces that are to be kept of it. */
import type { BlobRef, FeedSpec } from '../model/blocklist';
import { prefixSet, union } from './algebra';
import { chunk, pack, unpack } from './blob';
import { type FeedReport, parseFeed, unreadableLines } from './feed';
import { disbeliefText, judgeFeed } from './feed-policy';
import type { PrefixSet } from './types';

/** Plain data: it goes to another thread. */
export interface FeedTask {
  bytes: Uint8Array;
  feed: Pick<FeedSpec, 'format' | 'column' | 'maxBytes' | 'maxPrefixes' | 'maxShrinkPercent'>;
  /** The packed set that it held when it was last believed; null = never, or of another place. */
  lastGood: Uint8Array | null;
  /** Entries of the blocklist itself that stay. */
  inline: readonly string[];
  /** What the nodes of the list must never block. */
  failsafe: readonly string[];
}

export interface Pieces {
  ref: BlobRef;
  chunks: Uint8Array[];
}

export type FeedTaskResult =
  | { believed: false; problem: string; notes: string[] }
  /** `list`: of the feed alone; `whole`: with the entries of the blocklist itself. */
  | {
      believed: true;
      list: Pieces;
      whole: Pieces;
      added: number;
      removed: number;
      notes: string[];
    };

export const piecesOf = (set: PrefixSet): Pieces => chunk(pack(set));

function unpacked(bytes: Uint8Array | null): PrefixSet | null {
  const result = bytes === null ? null : unpack(bytes);
  return result?.ok ? result.set : null;
}

export function refreshFeed({ bytes, feed, lastGood, inline, failsafe }: FeedTask): FeedTaskResult {
  const verdict = judgeFeed({
    lastGood: unpacked(lastGood),
    fetched: parseFeed(bytes, feed),
    maxShrinkPercent: feed.maxShrinkPercent,
    failsafe: prefixSet(failsafe),
  });
  const notes = verdict.report === null ? [] : notesOf(verdict.report);
  if (!verdict.believed) return { believed: false, problem: disbeliefText(verdict.why), notes };
  const { set, added, removed } = verdict;
  const list = piecesOf(set);
  const whole = inline.length === 0 ? list : piecesOf(union(set, prefixSet(inline)));
  return { believed: true, list, whole, added, removed, notes };
}

export interface MergeTask {
  packed: Uint8Array;
  inline: readonly string[];
}

/** A packed set and some prefixes more. */
export function mergeEntries({ packed, inline }: MergeTask): Pieces {
  const result = unpack(packed);
  if (!result.ok) throw new Error(`not a packed set: ${JSON.stringify(result.error)}`);
  return piecesOf(union(result.set, prefixSet(inline)));
}

/** What was odd about it, for people; nothing where nothing was. */
export function notesOf(report: FeedReport): string[] {
  const unreadable = unreadableLines(report);
  const shown = report.examples.map(({ line, text }) => `line ${line} '${text}'`).join(', ');
  const counts: [string, number][] = [
    ['lines without a prefix', unreadable],
    ['prefixes with bits set behind their length, cleared', report.masked],
    ['IPv4 prefixes written as IPv6', report.mapped],
    ['prefixes there more than once', report.duplicates],
    ['prefixes within a shorter one', report.covered],
  ];
  const notes = counts.flatMap(([what, count]) => (count === 0 ? [] : [`${what}: ${count}`]));
  return unreadable === 0 ? notes : [...notes, `among them ${shown}`];
}
