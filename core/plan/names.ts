/** Who holds an interface name that we need. */
import type { ObservedLink, ObservedNetns } from '../model/host';
import type { Pair } from './pairs';
import { isMarked, type Survey } from './survey';
import { wantsOf } from './wants';

/**
 * `staying`: an end of one of our whole pairs; `going`: one of ours that is going to be deleted;
 * `stranger`: not ours, so the name cannot be had.
 */
export type Holder = 'nobody' | 'staying' | 'going' | 'stranger';

export type HolderOf = (netns: ObservedNetns, name: string) => Holder;

/** Indexed when first asked, and once for each namespace that is asked about: it is rarely asked. */
export const holders = (survey: Survey): HolderOf => {
  const indexes = new Map<ObservedNetns, Map<string, ObservedLink>>();
  let whole: Set<ObservedLink> | undefined;
  return (netns, name) => {
    const index = indexes.get(netns) ?? new Map(netns.links.map((link) => [link.name, link]));
    indexes.set(netns, index);
    const link = index.get(name);
    if (link === undefined) return 'nobody';
    whole ??= new Set(survey.pairs.flatMap(({ ends }) => linksOf(ends)));
    if (whole.has(link)) return 'staying';
    return isMarked(link, wantsOf(survey.spec).prefix) ? 'going' : 'stranger';
  };
};

const linksOf = (ends: Pair['ends']): ObservedLink[] =>
  ends === null ? [] : [ends.host.link, ends.peer.link];
