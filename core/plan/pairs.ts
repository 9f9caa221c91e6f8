/**
 * A veth pair of the spec, as found. It is *whole* when both ends bear their marks, are each other's
 * peer, and lie where they belong. Anything less is taken down and made anew: the two ends are
 * made by one request, so a half is somebody's doing or a cut, and carries no traffic anyway
 * (decision 0011).
 */
import type { ObservedNetns } from '../model/host';
import type { Located } from './survey';
import type { WantedLink } from './wants';

/** Where a pair belongs. */
export interface Home {
  /** Null where the namespace is not there (yet). */
  netns: ObservedNetns | null;
  root: ObservedNetns;
}

export interface Pair extends WantedLink, Home {
  ends: { host: Located; peer: Located } | null;
  /** Ends with the marks of this pair that are not part of a whole one. */
  strays: readonly Located[];
}

const leadsTo = (from: Located, to: Located): boolean =>
  from.link.peerIfindex === to.link.ifindex &&
  (from.link.peerInode === null || from.link.peerInode === to.netns.inode);

const wholePair = (
  { netns }: Home,
  hosts: readonly Located[],
  peers: readonly Located[],
): Pair['ends'] => {
  for (const host of hosts) {
    if (host.namespace !== null) continue;
    const peer = peers.find(
      (end) => end.netns === netns && leadsTo(host, end) && leadsTo(end, host),
    );
    if (peer !== undefined) return { host, peer };
  }
  return null;
};

const NONE: readonly Located[] = [];

export const pairOf = (
  { namespace, link, aliases, slot }: WantedLink,
  home: Home,
  hosts: readonly Located[],
  peers: readonly Located[],
): Pair => {
  const ends = wholePair(home, hosts, peers);
  const all = hosts.length + peers.length;
  const strays =
    ends === null || all > 2
      ? [...hosts, ...peers].filter((end) => end !== ends?.host && end !== ends?.peer)
      : NONE;
  return { namespace, link, aliases, slot, netns: home.netns, root: home.root, ends, strays };
};

const place = (inode: number | null, ifindex: number | null): string => `${inode} ${ifindex}`;

/** Ends without those that go by themselves, as the other end of one that is kept in the list. */
export const oneOfEachPair = (ends: readonly Located[]): Located[] => {
  const gone = new Set<string>();
  return ends.filter(({ netns, link }) => {
    if (gone.has(place(netns.inode, link.ifindex))) return false;
    gone.add(place(link.peerInode, link.peerIfindex));
    return true;
  });
};
