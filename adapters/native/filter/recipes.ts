/** Which sets a filter has, and what each holds. */
import type { FilterContents } from '../../../core/filter/contents';
import type { SetName } from './abi';
import { isEmpty, type Recipe } from './held-set';

export type Recipes = Record<SetName, Recipe | null>;

const unlessEmpty = (recipe: Recipe): Recipe | null => (isEmpty(recipe) ? null : recipe);

/**
 * What people allow and block one by one has its sets also while it is nothing: the first prefix is then
 * as quick as any other. To put a new set in its place takes two to four turns of RCU, some 10 ms each.
 */
export function recipesOf({ failsafe, allow, lists, blocks }: FilterContents): Recipes {
  const of = (mode: 'enforce' | 'count'): string[] =>
    [...new Set(lists.filter((list) => list.mode === mode).map(({ sha256 }) => sha256))].sort();
  return {
    failsafe: unlessEmpty({ role: 'failsafe', lists: [], singles: failsafe }),
    allow: { role: 'allow', lists: [], singles: allow.prefixes },
    block: { role: 'block', lists: of('enforce'), singles: blocks },
    shadow: unlessEmpty({ role: 'shadow', lists: of('count'), singles: [] }),
  };
}
