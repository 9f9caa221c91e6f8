/**
 * One set as packets meet it: lists and single prefixes, an image for each family in the kernel. What
 * stands in the same way in several interfaces is there once.
 */
import { createHash, randomBytes } from 'node:crypto';
import { contains, prefixSet } from '../../../core/filter/algebra';
import { TrueSet, type SetChange } from '../../../core/filter/true-set';
import type { PrefixSet } from '../../../core/filter/types';
import type { BlobPort } from '../../../core/model/host';
import type { SetName } from './abi';
import { build, type Built } from './build';
import type { Family } from './filter-maps';
import { SetMap } from './set-map';

export interface Recipe {
  /** A set that two roles shared could not be edited for one of them. */
  role: SetName;
  /** SHA-256 of the lists' blobs. */
  lists: readonly string[];
  /** Canonical prefixes on top, sorted. */
  singles: readonly string[];
}

export const recipeKey = ({ role, lists, singles }: Recipe): string =>
  `${role}|${lists.join(' ')}|${singles.join(' ')}`;
/** People allow and block single prefixes of either family: the first one finds its image there. */
const isEdited = ({ role }: Recipe): boolean => role === 'allow' || role === 'block';
export const isEmpty = ({ lists, singles }: Recipe): boolean => lists.length + singles.length === 0;

const randomSeed = (): number => randomBytes(4).readUInt32LE();

type Maps = Record<Family, SetMap | null>;

export class HeldSet {
  private digestHex: string | null = null;
  private learning: Promise<void> | null = null;

  private constructor(
    private recipeNow: Recipe,
    private readonly maps: Maps,
    /** Null after adoption, until the lists are read. */
    private truth: TrueSet | null,
    private lists: readonly PrefixSet[],
  ) {}

  static async build(recipe: Recipe, blobs: BlobPort): Promise<HeldSet> {
    const overlay = prefixSet(recipe.singles);
    const seed = randomSeed();
    const order = { blobs: await readAll(recipe, blobs), overlay, seed, both: isEdited(recipe) };
    const built = await build(order);
    const v4 = built.image4 && SetMap.create(built.image4);
    try {
      const v6 = built.image6 && SetMap.create(built.image6);
      return new HeldSet(recipe, { 4: v4, 6: v6 }, truthOf(built, overlay, seed), built.lists);
    } catch (error) {
      v4?.close();
      throw error;
    }
  }

  /** What stands in the kernel already, by the ids of its maps; 0: none. */
  static adopt(recipe: Recipe, ids: Record<Family, number>): HeldSet {
    const v4 = ids[4] === 0 ? null : SetMap.adopt(ids[4]);
    const v6 = ids[6] === 0 ? null : SetMap.adopt(ids[6]);
    return new HeldSet(recipe, { 4: v4, 6: v6 }, null, []);
  }

  get recipe(): Recipe {
    return this.recipeNow;
  }

  map(family: Family): SetMap | null {
    return this.maps[family];
  }

  /** After adoption: makes it able to be edited. */
  async learn(blobs: BlobPort): Promise<void> {
    this.learning ??= this.readLists(blobs).finally(() => (this.learning = null));
    if (!this.truth) await this.learning;
  }

  private async readLists(blobs: BlobPort): Promise<void> {
    if (this.truth) return;
    const overlay = prefixSet(this.recipeNow.singles);
    const lists = await unpackAll(await readAll(this.recipeNow, blobs));
    this.lists = lists;
    this.truth = TrueSet.adopt(lists, overlay, randomSeed(), this.images());
  }

  /**
   * Few stores, or a new image of a family: then `replaced` names what outer maps must be given, and
   * `former` what to close after that. Null: it must be built anew. Throws what the kernel says to a
   * new image; the set goes on with what it had.
   */
  edit(singles: readonly string[], nowMs: number): { replaced: Family[]; former: SetMap[] } | null {
    const { truth } = this;
    if (!truth) return null;
    this.truth = null; // until all is well: a half of it would not be the truth
    this.digestHex = null;
    const changes = truth.setOverlay(prefixSet(singles), nowMs);
    const made: Partial<Maps> = {};
    try {
      for (const [family, change] of [
        [4, changes.v4],
        [6, changes.v6],
      ] as const) {
        if (change?.kind === 'image') made[family] = SetMap.create(change.image);
      }
    } catch (error) {
      for (const family of [4, 6] as const) this.maps[family]?.undo();
      made[4]?.close();
      throw error;
    }
    this.store(changes.v4, changes.v6);
    const replaced = ([4, 6] as const).filter((family) => made[family] !== undefined);
    const former = replaced.map((family) => this.maps[family]).filter((map) => map !== null);
    Object.assign(this.maps, made);
    this.recipeNow = { ...this.recipeNow, singles };
    this.truth = truth;
    return { replaced, former };
  }

  /** Of all that is in it; kept until the next edit. */
  digest(): string {
    this.digestHex ??= this.reckon();
    return this.digestHex;
  }

  /** Which of the lists or single prefixes an address is in; null: in none, or the lists aren't known. */
  whereIs(address: string): { list: string } | { single: string } | null {
    const wanted = prefixSet([address]);
    const { lists, singles } = this.recipeNow;
    const single = singles.find((prefix) => contains(prefixSet([prefix]), wanted));
    if (single !== undefined) return { single };
    const list = lists.find((_, i) => this.lists[i] && contains(this.lists[i], wanted));
    return list === undefined ? null : { list };
  }

  close(): void {
    this.maps[4]?.close();
    this.maps[6]?.close();
  }

  private store(v4: SetChange | null, v6: SetChange | null): void {
    if (v4?.kind === 'writes') this.maps[4]?.write(v4.writes);
    if (v6?.kind === 'writes') this.maps[6]?.write(v6.writes);
  }

  private reckon(): string {
    const hash = createHash('sha256');
    for (const family of [4, 6] as const) {
      hash.update(`${family}:`);
      const map = this.maps[family];
      if (map) hash.update(map.shadow());
    }
    return hash.digest('hex');
  }

  private images() {
    const image = (map: SetMap | null) => map && { words: map.words, used: map.used() };
    return { image4: image(this.maps[4]), image6: image(this.maps[6]) };
  }
}

const truthOf = (built: Built, overlay: PrefixSet, seed: number): TrueSet =>
  TrueSet.adopt(built.lists, overlay, seed, built);

async function readAll({ lists }: Recipe, blobs: BlobPort): Promise<Uint8Array[]> {
  const read = [];
  for (const sha256 of lists) read.push(await blobs.read(sha256));
  return read;
}

const unpackAll = async (blobs: Uint8Array[]): Promise<PrefixSet[]> =>
  (await build({ blobs, overlay: null, seed: 0, both: false })).lists;
