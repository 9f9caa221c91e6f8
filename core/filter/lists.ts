/**
 * Which version of each list is enforced while a newer one is still on its way: a list is never given
 * up for one that is not here yet.
 */
import type { EdgeBlocklist, EdgeSpec } from '../model/edge-spec';

/** What a spec wants of lists: where nothing filters, there is nowhere to load them. */
export const listsOf = ({
  filters,
  blocklists,
}: Pick<EdgeSpec, 'filters' | 'blocklists'>): readonly EdgeBlocklist[] =>
  filters.length === 0 ? [] : blocklists;

export interface ListChoice {
  /** To be loaded now, with the mode that is wanted now. */
  use: EdgeBlocklist[];
  /** Wanted, but not whole here. `held`: its former version goes on. */
  waiting: { name: string; held: boolean }[];
}

/**
 * `held`: the lists as last loaded. Such a one is named even where its chunks are lost on disk: the
 * maps hold it, and the host keeps them rather than load less.
 */
export function chooseLists(
  wanted: readonly EdgeBlocklist[],
  held: readonly EdgeBlocklist[],
  isWhole: (sha256: string) => boolean,
): ListChoice {
  const former = new Map(held.map((list) => [list.name, list]));
  const choice: ListChoice = { use: [], waiting: [] };
  for (const list of wanted) {
    const last = former.get(list.name);
    if (last?.blob.sha256 === list.blob.sha256 || isWhole(list.blob.sha256)) {
      choice.use.push(list);
      continue;
    }
    choice.waiting.push({ name: list.name, held: last !== undefined });
    if (last !== undefined) choice.use.push({ ...list, blob: last.blob });
  }
  return choice;
}
