/** Veth pairs: whole ones are mended in place, halves are taken down, missing ones made. */
import type { LinkSpec, NamespaceSpec } from '../model/node';
import { halfOf } from './halves';
import { loopbackDifferences } from './loopbacks';
import { holders, type HolderOf } from './names';
import { oneOfEachPair, type Pair } from './pairs';
import * as steps from './steps';
import { type Difference, type Located, type Survey } from './survey';
import type { Finding, FindingKind, PlannedStep } from './types';

export const objectOf = ({ namespace, link }: Pair): string => `${namespace.name}/${link.name}`;

const difference = (
  finding: Finding,
  change: { take?: PlannedStep[]; make?: PlannedStep[] } = {},
): Difference => ({ stage: 'links', finding, take: change.take ?? [], make: change.make ?? [] });

/** A torn dump proves nothing: by it nothing is taken away. */
const deletions = (survey: Survey, ends: readonly Located[]): PlannedStep[] =>
  survey.observed.interrupted ? [] : oneOfEachPair(ends).map(steps.deleteLink);

const half = (survey: Survey, pair: Pair): Difference => {
  const [kind, what] = halfOf(pair);
  const found = steps.finding(kind, objectOf(pair), `${what}; the pair is made anew`);
  return difference(found, { take: deletions(survey, pair.strays) });
};

const missing = (pair: Pair, holderOf: HolderOf): Difference[] => {
  const { netns, root, link, namespace } = pair;
  if (netns === null) return [];
  const needed = [
    { holder: holderOf(root, link.name), where: link.name },
    { holder: holderOf(netns, link.peer), where: `${namespace.name}/${link.peer}` },
  ];
  const stranger = needed.find(({ holder }) => holder === 'stranger');
  if (stranger !== undefined) {
    const message = `${stranger.where} is there, but not ours: rename or delete it`;
    return [difference(steps.conflict('linkForeign', objectOf(pair), message))];
  }
  const free = needed.every(({ holder }) => holder === 'nobody');
  const found = steps.finding('linkMissing', objectOf(pair), 'does not exist');
  return [difference(found, { make: free ? [steps.createVeth(pair)] : [] })];
};

/** One end of a whole pair, and what it should be called. */
interface End {
  at: Located;
  name: string;
  renamed: FindingKind;
  down: FindingKind;
}

const endsOf = ({ host, peer }: NonNullable<Pair['ends']>, link: LinkSpec): End[] => [
  { at: host, name: link.name, renamed: 'linkRenamed', down: 'linkDown' },
  { at: peer, name: link.peer, renamed: 'peerRenamed', down: 'peerDown' },
];

/** Two of ours that hold each other's names cannot be renamed one after the other: made anew. */
const renamed = (survey: Survey, pair: Pair, end: End, holderOf: HolderOf): Difference[] => {
  const { at, name } = end;
  if (at.link.name === name) return [];
  const holder = holderOf(at.netns, name);
  const found = `is called ${at.link.name}, not ${name}`;
  if (holder === 'stranger') {
    const message = `${found}, and ${steps.inside(at.namespace, name)} is not ours`;
    return [difference(steps.conflict('linkForeign', objectOf(pair), message))];
  }
  return [
    difference(steps.finding(end.renamed, objectOf(pair), found), {
      take: holder === 'staying' ? deletions(survey, [at]) : [],
      make: holder === 'nobody' ? [steps.renameLink(at, name)] : [],
    }),
  ];
};

const isRight = ({ link }: Located, name: string, mtu: number): boolean =>
  link.up && link.name === name && link.mtu === mtu;

/** Steps by name wait until no rename is under way. */
const mended = (survey: Survey, pair: Pair, holderOf: HolderOf): Difference[] => {
  const { name, peer, mtu } = pair.link;
  if (pair.ends === null) return [];
  if (isRight(pair.ends.host, name, mtu) && isRight(pair.ends.peer, peer, mtu)) return [];
  const ends = endsOf(pair.ends, pair.link);
  const renames = ends.flatMap((end) => renamed(survey, pair, end, holderOf));
  const settled = renames.every(({ finding }) => finding.conflict);
  const raise = ends
    .filter(({ at }) => !at.link.up)
    .map(({ at, down }) => {
      const message = `${steps.inside(at.namespace, at.link.name)} is down`;
      const make = settled ? [steps.setLinkUp(at)] : [];
      return difference(steps.finding(down, objectOf(pair), message), { make });
    });
  return [...renames, ...wrongMtu(pair, ends, settled), ...raise];
};

const wrongMtu = (pair: Pair, ends: readonly End[], settled: boolean): Difference[] => {
  const { mtu } = pair.link;
  const wrong = ends.filter(({ at }) => at.link.mtu !== mtu);
  if (wrong.length === 0) return [];
  const what = wrong.map(({ at }) => `${steps.inside(at.namespace, at.link.name)} ${at.link.mtu}`);
  const message = `MTU of ${what.join(', ')}; should be ${mtu}`;
  const make = settled ? wrong.map(({ at }) => steps.setLinkMtu(at, mtu)) : [];
  return [difference(steps.finding('wrongMtu', objectOf(pair), message), { make })];
};

/** Our marks on links that the spec does not know, and on copies of those that it knows. */
export const extraLinks = ({ unknown, pairs }: Survey): Located[] => {
  const copies = pairs.flatMap(({ ends, strays }) => (ends === null ? [] : strays));
  return [...unknown, ...copies];
};

const extra = (survey: Survey): Difference[] =>
  oneOfEachPair(extraLinks(survey)).map((end) => {
    const object = steps.inside(end.namespace, end.link.name);
    const found = steps.finding('linkExtra', object, 'bears our mark, but is not in the spec');
    return difference(found, { take: deletions(survey, [end]) });
  });

/**
 * A namespace in which none of its links has begun to be: a creation that was cut, or all of them
 * deleted. Told beside the links that are missing, unless strangers are in the way of them all.
 */
const withoutLinks = (
  { name, links }: NamespaceSpec,
  found: readonly Difference[],
): Difference[] => {
  if (links.length === 0 || found.every(({ make }) => make.length === 0)) return [];
  return [difference(steps.finding('namespaceWithoutLinks', name, 'has none of its links'))];
};

const ofPair = (survey: Survey, pair: Pair, holderOf: HolderOf): Difference[] => {
  if (pair.ends !== null) return mended(survey, pair, holderOf);
  return pair.strays.length > 0 ? [half(survey, pair)] : missing(pair, holderOf);
};

export const linkDifferences = (survey: Survey): Difference[] => {
  const holderOf = holders(survey);
  const wanted = [...survey.pairsOf].flatMap(([namespace, pairs]) => {
    const found = pairs.flatMap((pair) => ofPair(survey, pair, holderOf));
    const isBare = pairs.every(({ ends, strays }) => ends === null && strays.length === 0);
    return isBare ? [...found, ...withoutLinks(namespace, found)] : found;
  });
  return [...wanted, ...loopbackDifferences(survey), ...extra(survey)];
};
