/** Who holds an interface name that we need. */
import type { ObservedLink, ObservedNetns } from '../model/host';
import { allPairs, type Survey } from './survey';

/**
 * `staying`: an end of one of our whole pairs; `going`: one of ours that is going to be deleted;
 * `stranger`: not ours, so the name cannot be had.
 */
export type Holder = 'nobody' | 'staying' | 'going' | 'stranger';

export type HolderOf = (netns: ObservedNetns, name: string) => Holder;

/** Links by name, indexed once for each namespace that is asked about. */
export const holders = (survey: Survey): HolderOf => {
  const indexes = new Map<ObservedNetns, Map<string, ObservedLink>>();
  const marked = new Set(survey.marked.map(({ link }) => link));
  const whole = new Set(
    allPairs(survey).flatMap(({ ends }) => (ends === null ? [] : [ends.host.link, ends.peer.link])),
  );
  return (netns, name) => {
    const index = indexes.get(netns) ?? new Map(netns.links.map((link) => [link.name, link]));
    indexes.set(netns, index);
    const link = index.get(name);
    if (link === undefined) return 'nobody';
    if (whole.has(link)) return 'staying';
    return marked.has(link) ? 'going' : 'stranger';
  };
};
