/**
 * One look at a host, put in order: which namespaces are ours, which links bear our mark, and which
 * of those make up the veth pairs that the spec asks for. Every class of objects reads from here.
 */
import type { EdgeSpec } from '../model/edge-spec';
import type { Ledger, ObservedHost, ObservedLink, ObservedNetns } from '../model/host';
import type { NamespaceSpec } from '../model/node';
import { pairOf, type Pair } from './pairs';
import { STAGES, type Finding, type PlannedStep, type Stage } from './types';
import { wantsOf } from './wants';

export interface Input {
  spec: EdgeSpec;
  observed: ObservedHost;
  ledger: Ledger;
  /** Tag of the program that the host attaches. */
  filterTag: string;
  /** Null: all of them. */
  stages: readonly Stage[] | null;
}

/** A link and where it is; `namespace` null is the root. */
export interface Located {
  namespace: string | null;
  netns: ObservedNetns;
  link: ObservedLink;
}

/** A finding and the steps for it: first those that take away, then those that make. */
export interface Difference {
  stage: Stage;
  finding: Finding;
  take: PlannedStep[];
  make: PlannedStep[];
}

export interface Survey extends Input {
  stages: readonly Stage[];
  /** Namespaces that are ours, by name. */
  owned: ReadonlyMap<string, ObservedNetns>;
  /** Veth ends with our node's mark that the spec does not know, the root's first. */
  unknown: Located[];
  /** One for each link of the spec whose namespace is ours or is not there, by namespace. */
  pairsOf: ReadonlyMap<NamespaceSpec, Pair[]>;
  /** All of them. */
  pairs: Pair[];
}

/** Only a veth can be ours: our mark on anything else is a mistake of somebody's. */
export const isMarked = (link: ObservedLink, prefix: string): boolean =>
  link.kind === 'veth' && link.alias?.startsWith(prefix) === true;

/** What every network namespace is born with: loopback and the tunnels' fallback devices. */
const INBORN = new Set(
  'lo tunl0 gre0 gretap0 erspan0 ip_vti0 ip6_vti0 sit0 ip6tnl0 ip6gre0'.split(' '),
);

/** Links in a namespace that neither we nor the kernel put there. */
export const foreignLinks = (spec: EdgeSpec, netns: ObservedNetns): ObservedLink[] =>
  netns.links.filter((link) => !INBORN.has(link.name) && !isMarked(link, wantsOf(spec).prefix));

/**
 * A namespace is ours when its inode is in the ledger, or when the ledger holds our intent to make
 * it (the agent died between the two writes) and nothing foreign is in it.
 */
const isOurs = (spec: EdgeSpec, ledger: Ledger, name: string, netns: ObservedNetns): boolean => {
  const entry = ledger.namespaces[name];
  if (entry === undefined) return false;
  if (entry.inode === null) return foreignLinks(spec, netns).length === 0;
  return entry.inode === netns.inode;
};

const mountedNamespaces = (observed: ObservedHost): [string, ObservedNetns][] =>
  Object.entries(observed.namespaces).flatMap(([name, namespace]) =>
    namespace.state === 'mounted' ? [[name, namespace]] : [],
  );

export const ownedNamespaces = ({
  spec,
  ledger,
  observed,
}: Pick<Input, 'spec' | 'ledger' | 'observed'>): Map<string, ObservedNetns> =>
  new Map(mountedNamespaces(observed).filter(([name, netns]) => isOurs(spec, ledger, name, netns)));

/** The ends that bear our mark, sorted by what the spec knows of them. */
interface Marked {
  /** By slot (`wants.ts`): the first end met with that alias, the root's first. */
  ends: (Located | undefined)[];
  /** Further ends with an alias that was met before. */
  copies: Located[];
  /** Our marks that the spec does not know. */
  unknown: Located[];
}

const markedLinks = ({ spec, observed }: Input): Marked => {
  const { prefix, slots } = wantsOf(spec);
  const marked: Marked = {
    ends: new Array<undefined>(slots.size).fill(undefined),
    copies: [],
    unknown: [],
  };
  const collect = (namespace: string | null, netns: ObservedNetns): void => {
    for (const link of netns.links) {
      if (link.kind !== 'veth' || link.alias === null) continue;
      const located = { namespace, netns, link };
      const slot = slots.get(link.alias);
      if (slot === undefined) {
        if (isMarked(link, prefix)) marked.unknown.push(located);
      } else if (marked.ends[slot] === undefined) marked.ends[slot] = located;
      else marked.copies.push(located);
    }
  };
  collect(null, observed.root);
  for (const [name, netns] of mountedNamespaces(observed)) collect(name, netns);
  return marked;
};

const withAlias = ({ ends, copies }: Marked, slot: number, alias: string): Located[] => {
  const first = ends[slot];
  if (first === undefined) return [];
  return copies.length === 0 ? [first] : [first, ...copies.filter((c) => c.link.alias === alias)];
};

export const survey = (input: Input): Survey => {
  const { spec, observed } = input;
  const owned = ownedNamespaces(input);
  const marked = markedLinks(input);
  const pairsOf = new Map<NamespaceSpec, Pair[]>();
  for (const [namespace, links] of wantsOf(spec).links) {
    const netns = owned.get(namespace.name) ?? null;
    if (netns === null && observed.namespaces[namespace.name]?.state === 'mounted') continue;
    const home = { netns, root: observed.root };
    const pairs = links.map((wanted) => {
      const hosts = withAlias(marked, wanted.slot, wanted.aliases.host);
      const peers = withAlias(marked, wanted.slot + 1, wanted.aliases.peer);
      return pairOf(wanted, home, hosts, peers);
    });
    pairsOf.set(namespace, pairs);
  }
  const pairs = [...pairsOf.values()].flat();
  return {
    ...input,
    stages: input.stages ?? STAGES,
    owned,
    unknown: marked.unknown,
    pairs,
    pairsOf,
  };
};
