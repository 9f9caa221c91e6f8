/**
 * A set of prefixes that packets are looked up in: the union of lists, which are replaced as a whole,
 * and of an overlay of prefixes that come and go one by one (blocked by hand). Whatever the order of
 * edits, it holds what it would hold if it had been built of the same lists and overlay.
 */
import { Editor4 } from './edit4';
import { Editor6 } from './edit6';
import { buildImage4, groupOf, groupsOf, has4 } from './image4';
import { buildImage6, has6 } from './image6';
import { compare, rowAround, rows4, rows6, type Rows } from './rows';
import type { Image, PrefixSet, WordWrite } from './types';

/** What brings an array of words to the new contents. */
export type SetChange =
  /** Store them one after another, each u64 at once and none before the one before it. */
  | { kind: 'writes'; writes: WordWrite[] }
  /** Too much has changed, or no room is left: an array of its own, put in the place of the former. */
  | { kind: 'image'; image: Image };

/** Null: nothing to do. */
export interface SetChanges {
  v4: SetChange | null;
  v6: SetChange | null;
}

/** More stores than this take longer than a new image does. */
const MOST_GROUPS = 2 ** 16;

/** The rows that only one of two sorted ones has. */
function differing(before: Rows, after: Rows): { removed: number[]; added: number[] } {
  const removed: number[] = [];
  const added: number[] = [];
  let [i, j] = [0, 0];
  while (i < before.lengths.length || j < after.lengths.length) {
    const order = orderOf(before, i, after, j);
    if (order < 0) removed.push(i++);
    else if (order > 0) added.push(j++);
    else [i, j] = [i + 1, j + 1];
  }
  return { removed, added };
}

function orderOf(before: Rows, i: number, after: Rows, j: number): number {
  if (i >= before.lengths.length) return 1;
  return j >= after.lengths.length ? -1 : compare(before, i, after, j);
}

export class TrueSet {
  private overlay: PrefixSet;
  private rebuilds = 0;
  private four: { image: Image; editor: Editor4 } | null = null;
  private six: { image: Image; editor: Editor6 } | null = null;

  /** All normalised. `seed`: u32, random, so that nobody can choose addresses that collide. */
  constructor(
    private readonly lists: readonly PrefixSet[],
    overlay: PrefixSet,
    private readonly seed: number,
    builds: 'needed' | 'both' | 'none' = 'needed',
  ) {
    this.overlay = overlay;
    if (builds === 'none') return;
    const both = builds === 'both';
    if (both || this.layers4().some(({ lengths }) => lengths.length > 0)) this.build4();
    if (both || this.layers6().some(({ lengths }) => lengths.length > 0)) this.build6();
  }

  /** One whose images are made already, here or elsewhere, of just these lists and this overlay. */
  static adopt(
    lists: readonly PrefixSet[],
    overlay: PrefixSet,
    seed: number,
    { image4, image6 }: { image4: Image | null; image6: Image | null },
  ): TrueSet {
    const set = new TrueSet(lists, overlay, seed, 'none');
    if (image4) set.four = { image: image4, editor: new Editor4(image4) };
    if (image6) set.six = { image: image6, editor: new Editor6(image6) };
    return set;
  }

  /** As it stands now; null: no IPv4 prefix was ever in it, and no array is needed. */
  get image4(): Image | null {
    return this.four?.image ?? null;
  }

  get image6(): Image | null {
    return this.six?.image ?? null;
  }

  /** What a packet from this address (network order, 4 or 16 bytes) meets. */
  has(address: Uint8Array): boolean {
    const view = new DataView(address.buffer, address.byteOffset, address.byteLength);
    if (address.length === 4)
      return this.four !== null && has4(this.four.image.words, view.getUint32(0));
    const key = Uint32Array.from([0, 4, 8, 12], (at) => view.getUint32(at));
    return this.six !== null && has6(this.six.image.words, key);
  }

  /**
   * Puts another overlay in the place of the former; few of their prefixes may differ, or many. `nowMs`
   * may be of any clock that never goes back. The images here are changed as the changes say.
   */
  setOverlay(overlay: PrefixSet, nowMs: number): SetChanges {
    const before = this.overlay;
    this.overlay = overlay;
    return {
      v4: this.change4(rows4(before.v4), rows4(overlay.v4), nowMs),
      v6: this.change6(rows6(before.v6), rows6(overlay.v6), nowMs),
    };
  }

  private layers4 = () => [...this.lists, this.overlay].map(({ v4 }) => v4);
  private layers6 = () => [...this.lists, this.overlay].map(({ v6 }) => v6);

  private build4(): SetChange {
    const image = buildImage4(this.layers4());
    this.four = { image, editor: new Editor4(image) };
    return { kind: 'image', image };
  }

  private build6(): SetChange {
    // A seed that did not work out is not tried again.
    const image = buildImage6(this.layers6(), this.seed + this.rebuilds++);
    this.six = { image, editor: new Editor6(image) };
    return { kind: 'image', image };
  }

  private change4(before: Rows, after: Rows, nowMs: number): SetChange | null {
    const { removed, added } = differing(before, after);
    if (removed.length + added.length === 0) return null;
    if (!this.four) return this.build4();
    const groups = new Set<number>();
    for (const [rows, changed] of [
      [before, removed],
      [after, added],
    ] as const) {
      for (const i of changed) {
        const count = groupsOf(rows.lengths[i]!);
        if (groups.size + count > MOST_GROUPS) return this.build4();
        const first = groupOf(rows.words[i]!);
        for (let group = first; group < first + count; group++) groups.add(group);
      }
    }
    const writes: WordWrite[] = [];
    const layers = this.layers4();
    for (const group of groups) {
      if (!this.four.editor.rewrite(group, layers, nowMs, writes)) return this.build4();
    }
    return writes.length === 0 ? null : { kind: 'writes', writes };
  }

  private change6(before: Rows, after: Rows, nowMs: number): SetChange | null {
    const { removed, added } = differing(before, after);
    if (removed.length + added.length === 0) return null;
    if (!this.six) return this.build6();
    const { editor } = this.six;
    const writes: WordWrite[] = [];
    // What comes is there before what goes: of two prefixes that overlap one always holds.
    for (const i of added) if (!editor.add(after, i, nowMs, writes)) return this.build6();
    for (const i of removed) {
      if (!this.isListed6(before, i)) editor.remove(before, i, nowMs, writes);
    }
    return writes.length === 0 ? null : { kind: 'writes', writes };
  }

  /** Whether this very prefix, or one around it, is in a list. */
  private isListed6(rows: Rows, i: number): boolean {
    return this.lists.some(({ v6 }) => rowAround(rows6(v6), rows, i) >= 0);
  }
}
