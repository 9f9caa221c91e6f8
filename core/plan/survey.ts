/**
 * One look at a host, put in order: which namespaces are ours, which links bear our mark, and which
 * of those make up the veth pairs that the spec asks for. Every class of objects reads from here.
 */
import type { EdgeSpec } from '../model/edge-spec';
import type { Ledger, ObservedHost, ObservedLink, ObservedNetns } from '../model/host';
import { linkAlias, MARK } from '../model/ids';
import type { LinkSpec, NamespaceSpec } from '../model/node';
import { pairOf, type Pair } from './pairs';
import { STAGES, type Finding, type PlannedStep, type Stage } from './types';

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
  /** Every veth end with our node's mark, the root's first. */
  marked: Located[];
  /** One for each link of the spec whose namespace is ours or is not there, by namespace. */
  pairsOf: ReadonlyMap<NamespaceSpec, Pair[]>;
}

const marksOf = (spec: EdgeSpec): string => `${MARK.aliasPrefix}${spec.node}/`;

/** Only a veth can be ours: our mark on anything else is a mistake of somebody's. */
const isMarked = (link: ObservedLink, prefix: string): boolean =>
  link.kind === 'veth' && link.alias !== null && link.alias.startsWith(prefix);

/** What every network namespace is born with: loopback and the tunnels' fallback devices. */
const INBORN = new Set(
  'lo tunl0 gre0 gretap0 erspan0 ip_vti0 ip6_vti0 sit0 ip6tnl0 ip6gre0'.split(' '),
);

/** Links in a namespace that neither we nor the kernel put there. */
export const foreignLinks = (spec: EdgeSpec, netns: ObservedNetns): ObservedLink[] =>
  netns.links.filter((link) => !INBORN.has(link.name) && !isMarked(link, marksOf(spec)));

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

const markedLinks = (input: Input): Located[] => {
  const prefix = marksOf(input.spec);
  const places: [string | null, ObservedNetns][] = [
    [null, input.observed.root],
    ...mountedNamespaces(input.observed),
  ];
  return places.flatMap(([namespace, netns]) =>
    netns.links
      .filter((link) => isMarked(link, prefix))
      .map((link) => ({ namespace, netns, link })),
  );
};

const byAlias = (marked: readonly Located[]): Map<string, Located[]> => {
  const map = new Map<string, Located[]>();
  for (const located of marked) {
    const alias = located.link.alias ?? '';
    const others = map.get(alias);
    if (others === undefined) map.set(alias, [located]);
    else others.push(located);
  }
  return map;
};

export const aliasesOf = (
  spec: EdgeSpec,
  namespace: NamespaceSpec,
  link: LinkSpec,
): { host: string; peer: string } => ({
  host: linkAlias(spec.node, namespace.name, link.name, 'host'),
  peer: linkAlias(spec.node, namespace.name, link.name, 'peer'),
});

export const survey = (input: Input): Survey => {
  const owned = ownedNamespaces(input);
  const marked = markedLinks(input);
  const found = byAlias(marked);
  const pairsOf = new Map<NamespaceSpec, Pair[]>();
  for (const namespace of input.spec.namespaces) {
    const netns = owned.get(namespace.name) ?? null;
    const there = input.observed.namespaces[namespace.name]?.state === 'mounted';
    if (netns === null && there) continue;
    const pairs = namespace.links.map((link) => {
      const aliases = aliasesOf(input.spec, namespace, link);
      const hosts = found.get(aliases.host) ?? [];
      const peers = found.get(aliases.peer) ?? [];
      return pairOf({ namespace, link, aliases, netns, root: input.observed.root }, hosts, peers);
    });
    pairsOf.set(namespace, pairs);
  }
  return { ...input, stages: input.stages ?? STAGES, owned, marked, pairsOf };
};

export const allPairs = ({ pairsOf }: Survey): Pair[] => [...pairsOf.values()].flat();
