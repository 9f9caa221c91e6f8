/** The sets of all interfaces of the node: each is in the kernel once, whoever uses it. */
import type { BlobPort } from '../../../core/model/host';
import { SETS } from './abi';
import type { FilterMaps } from './filter-maps';
import { HeldSet, recipeKey, type Recipe } from './held-set';
import type { Sets } from './loaded';
import type { Recipes } from './recipes';

const NO_SETS: Sets = { failsafe: null, allow: null, block: null, shadow: null };

export class SetStore {
  private readonly held = new Set<HeldSet>();

  constructor(private readonly blobs: BlobPort) {}

  /** As they stand already, or built. `unused` ones stay until `sweep`. */
  async prepare(recipes: Recipes): Promise<Sets> {
    const sets = { ...NO_SETS };
    for (const name of SETS) {
      const wanted = recipes[name];
      if (wanted) sets[name] = this.find(wanted) ?? (await this.build(wanted));
    }
    return sets;
  }

  find(wanted: Recipe): HeldSet | null {
    const key = recipeKey(wanted);
    for (const set of this.held) if (recipeKey(set.recipe) === key) return set;
    return null;
  }

  async build(wanted: Recipe): Promise<HeldSet> {
    const set = await HeldSet.build(wanted, this.blobs);
    this.held.add(set);
    return set;
  }

  /**
   * What the maps hold, taken for what `recipes` say. Whether it is so is for the caller to check, who
   * then keeps or discards it.
   */
  adopt(maps: FilterMaps, recipes: Recipes): Sets {
    const sets = { ...NO_SETS };
    for (const [slot, name] of SETS.entries()) {
      const wanted = recipes[name];
      const ids = { 4: maps.innerId('sets4', slot), 6: maps.innerId('sets6', slot) };
      if (ids[4] + ids[6] === 0 || !wanted) continue;
      sets[name] = this.byIds(ids) ?? HeldSet.adopt(wanted, ids);
    }
    return sets;
  }

  keep(sets: Sets): void {
    for (const name of SETS) if (sets[name]) this.held.add(sets[name]);
  }

  discard(sets: Sets): void {
    for (const name of SETS) {
      const set = sets[name];
      if (set && !this.held.has(set)) set.close();
    }
  }

  /** Reads the lists of adopted sets, so that single prefixes can be edited. */
  async learn(): Promise<void> {
    for (const set of this.held) await set.learn(this.blobs);
  }

  learnOne(set: HeldSet): Promise<void> {
    return set.learn(this.blobs);
  }

  /** Closes what nobody uses. */
  sweep(used: Iterable<Sets>): void {
    const keep = new Set<HeldSet | null>();
    for (const sets of used) for (const name of SETS) keep.add(sets[name]);
    for (const set of this.held) {
      if (keep.has(set)) continue;
      this.held.delete(set);
      set.close();
    }
  }

  close(): void {
    this.sweep([]);
  }

  private byIds(ids: Record<4 | 6, number>): HeldSet | null {
    for (const set of this.held) {
      if ((set.map(4)?.id ?? 0) === ids[4] && (set.map(6)?.id ?? 0) === ids[6]) return set;
    }
    return null;
  }
}
