/**
 * Changes an IPv4 image in place. A changed /19 gets a new row beside the old one, then its root word
 * is stored: a packet sees the former row or the new one. A row that was left is written again only
 * after a time in which no look-up that had read the old root word can still be under way.
 */
import { encodeGroup, GROUP_WORDS, LANES, newGroup, placeRow, rowWordsAt } from './group4';
import { COMMON_ROW, COMMON_WORDS, gatherGroup, markSixteen, POOL, ROOT } from './image4';
import type { Image, Prefixes4, WordWrite } from './types';

/** A look-up takes well under a millisecond, interrupts included. */
export const GRACE_MS = 1000;

interface Freed {
  at: number;
  sinceMs: number;
}

export class Editor4 {
  /** Rows that were left, by their size in words, the longest ago first. */
  private readonly freed = new Map<number, Freed[]>();
  private readonly group = newGroup();
  private readonly bits = new Uint32Array(GROUP_WORDS);
  /** Behind the last row that was ever in use; 0: not looked for yet, since few edits need it. */
  private used = 0;

  /** `image.words` is changed together with what is returned. It may come from anywhere, the kernel too. */
  constructor(private readonly image: Image) {}

  /**
   * Appends the stores that make the /19 `group` hold what `lists` have in it, in their order. False: no
   * room is left, and the image must be built anew.
   */
  rewrite(group: number, lists: readonly Prefixes4[], nowMs: number, out: WordWrite[]): boolean {
    const { words } = this.image;
    gatherGroup(this.bits, lists, group);
    encodeGroup(this.group, this.bits);
    let { high } = this.group;
    const { low, rowWords, common } = this.group;
    if (common) high = COMMON_ROW;
    if (rowWords > 0) {
      const at = this.take(rowWords, nowMs);
      if (at < 0) return false;
      placeRow(this.group, words, at);
      for (let word = at; word < at + rowWords; word++) out.push(read(words, word));
      high = at;
    }
    this.switchRoot(group, low, high, nowMs, out);
    return true;
  }

  private switchRoot(group: number, low: number, high: number, nowMs: number, out: WordWrite[]) {
    const { words } = this.image;
    const root = ROOT + group;
    const [oldLow, oldHigh] = [words[root * 2]!, words[root * 2 + 1]!];
    if (oldLow === low && oldHigh === high) return;
    if (low !== 0 || high !== 0) {
      markSixteen(words, group);
      out.push(read(words, group >>> 9)); // 64 /16s a word, 8 /19s a /16
    }
    words[root * 2] = low;
    words[root * 2 + 1] = high;
    out.push(read(words, root));
    this.release(oldLow, oldHigh, nowMs);
  }

  private release(low: number, high: number, nowMs: number): void {
    if (high === 0 || high >= LANES || high === COMMON_ROW) return;
    const size = rowWordsAt(this.image.words, low, high);
    this.used = Math.max(this.end(), high + size);
    const rows = this.freed.get(size) ?? [];
    rows.push({ at: high, sinceMs: nowMs });
    this.freed.set(size, rows);
  }

  /** Where `size` words may be written; −1: nowhere. */
  private take(size: number, nowMs: number): number {
    const rows = this.freed.get(size);
    const [oldest] = rows ?? [];
    if (rows && oldest && nowMs - oldest.sinceMs >= GRACE_MS) {
      rows.shift();
      return oldest.at;
    }
    const at = this.end();
    if ((at + size) * 2 > this.image.words.length) return -1;
    this.used = at + size;
    return at;
  }

  private end(): number {
    return this.used === 0 ? endOfRows(this.image.words) : this.used;
  }
}

/** Behind the last row that is in use; what words hold tells nothing, as bits may be zero. */
function endOfRows(words: Uint32Array): number {
  let end = POOL;
  for (let root = ROOT; root < POOL; root++) {
    const [low, high] = [words[root * 2]!, words[root * 2 + 1]!];
    if (high >= POOL && high < LANES) end = Math.max(end, high + rowWordsAt(words, low, high));
  }
  return Math.max(end, COMMON_ROW + COMMON_WORDS);
}

const read = (words: Uint32Array, word: number): WordWrite => ({
  word,
  low: words[word * 2]!,
  high: words[word * 2 + 1]!,
});
