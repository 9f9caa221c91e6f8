/**
 * Which sets can be edited where they stand: those of which only prefixes that are allowed or blocked one
 * by one change, and in the same way for all filters that use them.
 */
import { contains, prefixSet } from '../../../core/filter/algebra';
import type { FilterContents } from '../../../core/filter/contents';
import { recipeKey, type HeldSet, type Recipe } from './held-set';
import type { InterfaceFilter } from './interface-filter';
import { recipesOf } from './recipes';

export interface Edit {
  role: 'allow' | 'block';
  set: HeldSet;
  target: Recipe;
  users: readonly InterfaceFilter[];
}

/** A filter and what it shall hold; null: for its set that is not for here. */
interface Change {
  filter: InterfaceFilter;
  contents: FilterContents | null;
}

/** `isTaken`: there is such a set already. */
type IsTaken = (recipe: Recipe) => boolean;

/** What all users of a set want of it, where that is only another choice of single prefixes. */
function targetOf(set: HeldSet, targets: readonly (Recipe | null)[]): Recipe | null {
  const [target] = targets;
  if (!target || target.lists.join() !== set.recipe.lists.join()) return null;
  const key = recipeKey(target);
  return targets.every((each) => each && recipeKey(each) === key) ? target : null;
}

function editsOf(role: Edit['role'], changes: readonly Change[], isTaken: IsTaken) {
  const users = new Map<HeldSet | null, Change[]>();
  for (const change of changes) {
    const set = change.filter.wanted?.sets[role] ?? null;
    users.set(set, [...(users.get(set) ?? []), change]);
  }
  const edits: Edit[] = [];
  let isComplete = true;
  for (const [set, of] of users) {
    const wanted = of.map(({ contents }) => contents && recipesOf(contents)[role]);
    const target = set && targetOf(set, wanted);
    if (!target || (isTaken(target) && recipeKey(target) !== recipeKey(set.recipe))) {
      isComplete = false;
    } else if (recipeKey(target) !== recipeKey(set.recipe)) {
      edits.push({ role, set, target, users: of.map(({ filter }) => filter) });
    }
  }
  return { edits, isComplete };
}

/**
 * All that changes, where nothing else does. Else blocks alone, for filters that spare the same sources as
 * before: what spares sources has an order among all sets.
 */
export function plan(
  filters: readonly InterfaceFilter[],
  wanted: ReadonlyMap<string, FilterContents>,
  isTaken: IsTaken,
): Edit[] {
  const changes = filters.map((filter) => ({ filter, contents: wanted.get(filter.name) ?? null }));
  if (changes.every(({ filter, contents }) => contents && filter.sameButSingles(contents))) {
    const [allow, block] = [editsOf('allow', changes, isTaken), editsOf('block', changes, isTaken)];
    if (allow.isComplete && block.isComplete) return [...allow.edits, ...block.edits];
  }
  const sparing = changes.map(({ filter, contents }) => ({
    filter,
    contents: contents && filter.sparesSame(contents) ? contents : null,
  }));
  return editsOf('block', sparing, isTaken).edits;
}

/** Single prefixes that hold what the set has and what it shall have; null: it holds both already. */
export function grown({ set, target }: Edit): readonly string[] | null {
  const [now, then] = [set.recipe.singles, target.singles];
  const [before, after] = [prefixSet(now), prefixSet(then)];
  if (contains(before, after)) return null;
  return contains(after, before) ? then : [...new Set([...now, ...then])].sort();
}
