/** What no single field of a Node's BGP and BFD can get wrong. */
import { duplicates } from './checks-names';
import { parseDuration } from './duration';
import type { Issue } from './issues';
import {
  canonicalAddress,
  formatAddress,
  formatPrefix,
  isLinkLocal,
  isNetwork,
  network,
  parseAddress,
  parsePrefix,
} from './prefix';
import { DEFAULT_BFD, DEFAULT_NEIGHBOR } from './schema-routing';
import { type At, elements, type LinkView, member, present, read, string } from './view';

const contradiction = ({ path }: At<unknown>, message: string, expected: string): Issue => ({
  path,
  code: 'contradiction',
  message,
  expected,
});

const isGiven = ({ value }: At<unknown>): boolean => value !== undefined;

/** Milliseconds as written; null where it is something else. */
const durationOf = (at: At<unknown>, absentMs: number): number | null => {
  if (!isGiven(at)) return absentMs;
  return typeof at.value === 'string' ? parseDuration(at.value) : null;
};

/** GTSM wants peers that no router lies between, `multihop` says that some do. */
const checkHops = (neighbor: At<unknown>): Issue[] => {
  const hops = member(neighbor, 'multihop');
  if (!isGiven(hops) || member(neighbor, 'ttlSecurity').value !== true) return [];
  const message = 'ttlSecurity takes only packets that crossed no router';
  return [contradiction(hops, message, 'ttlSecurity or multihop, not both')];
};

/** A receiver drops a path with its own AS number in it, so prepending would be a withdrawal. */
const checkAsn = (neighbor: At<unknown>, own: unknown): Issue[] => {
  const asn = member(neighbor, 'asn');
  if (typeof own !== 'number' || asn.value !== own) return [];
  const message = `${own} is this node's own: an iBGP peer takes what is prepended for a loop`;
  return [contradiction(asn, message, 'the AS number of a router of another AS')];
};

const checkDetection = (neighbor: At<unknown>): Issue[] => {
  const bfd = member(neighbor, 'bfd');
  if (!isGiven(bfd)) return [];
  const intervalMs = durationOf(member(bfd, 'interval'), DEFAULT_BFD.intervalMs);
  const { value: times = DEFAULT_BFD.multiplier } = member(bfd, 'multiplier');
  const holdMs = durationOf(member(neighbor, 'holdTime'), DEFAULT_NEIGHBOR.holdTimeMs);
  if (intervalMs === null || holdMs === null || typeof times !== 'number') return [];
  if (intervalMs * times < holdMs) return [];
  const message = `BFD takes ${intervalMs * times} ms to notice, BGP notices by itself after ${holdMs}`;
  return [contradiction(bfd, message, 'interval × multiplier below holdTime')];
};

const addresses = (peers: readonly At<unknown>[]): At<string>[] =>
  present(peers.map((peer) => string(member(peer, 'address')))).map(({ value, path }) => ({
    value: canonicalAddress(value),
    path,
  }));

/** Neither itself nor one that means another host on each link. */
const checkPeer = ({ value: text, path }: At<string>, own: ReadonlySet<string>): Issue[] => {
  const address = parseAddress(text);
  if (address !== null && isLinkLocal(address)) {
    const message = `${text} is link-local: it does not say on which link`;
    return [{ path, code: 'unusable', message, expected: 'a global address of the peer' }];
  }
  if (!own.has(text)) return [];
  const message = `${text} is an address of this node`;
  return [{ path, code: 'contradiction', message, expected: 'the address of another host' }];
};

const checkImports = (bgp: At<unknown>): Issue[] => {
  const imports = member(bgp, 'importPrefixes');
  const prefixes = present(elements(imports).map((at) => read(at, parsePrefix)));
  const bits = prefixes
    .filter(({ value }) => !isNetwork(value))
    .map(({ value, path }) => ({
      path,
      code: 'hostBits',
      message: `${formatPrefix(value)} has bits set behind its length`,
      expected: formatPrefix(network(value)),
    }));
  const install = member(bgp, 'installRoutes');
  const nothing = elements(imports).length === 0 && install.value === true;
  const message = 'there is nothing to install: importPrefixes lets nothing in';
  return [
    ...bits,
    ...duplicates(
      prefixes.map(({ value, path }) => ({ value: formatPrefix(value), path })),
      'import of',
    ),
    ...(nothing
      ? [contradiction(install, message, 'importPrefixes, or installRoutes: false')]
      : []),
  ];
};

/** One session a peer: two would take each other's packets for their own. */
const checkBfdPeers = (spec: At<unknown>, neighbors: readonly At<unknown>[]): Issue[] => {
  const peers = addresses(elements(member(spec, 'bfdPeers')));
  const watched = addresses(neighbors.filter((each) => isGiven(member(each, 'bfd'))));
  return duplicates([...watched, ...peers], 'BFD with').filter(({ path }) =>
    peers.some((peer) => peer.path === path),
  );
};

const familyOf = (at: At<unknown>): 4 | 6 | null =>
  typeof at.value === 'string' ? (parseAddress(at.value)?.family ?? null) : null;

/** RFC 7880: each asks an address of the other, whose program answers. */
const checkSeamless = (peer: At<unknown>, hasFilter: boolean): Issue[] => {
  const [mode, local] = [member(peer, 'mode'), member(peer, 'local')];
  const [ours, theirs] = [familyOf(local), familyOf(member(peer, 'address'))];
  const mixed = ours !== null && theirs !== null && ours !== theirs;
  const families = mixed
    ? [contradiction(local, 'it is of another family than the peer', 'one of the same family')]
    : [];
  if (mode.value !== 'seamless') {
    const out = member(peer, 'outOfService');
    if (out.value !== true) return families;
    const message = 'only a seamless peer can be told that we are out of service';
    return [...families, contradiction(out, message, 'mode: seamless, or leave it out')];
  }
  const message = 'there is no filter on this node: nothing would answer the peer';
  return [
    ...families,
    ...(isGiven(local)
      ? []
      : [contradiction(mode, 'the peer asks an address of ours: which?', 'local: that address')]),
    ...(hasFilter ? [] : [contradiction(mode, message, 'a filter on the interface to the peer')]),
  ];
};

export const checkRouting = (document: unknown, links: readonly LinkView[]): Issue[] => {
  const spec = member({ value: document, path: [] }, 'spec');
  const bgp = member(spec, 'bgp');
  const neighbors = elements(member(bgp, 'neighbors'));
  const own = new Set(
    links.flatMap((link) =>
      [...link.addresses, ...link.hostAddresses].map(({ value }) => formatAddress(value)),
    ),
  );
  const bfdPeers = elements(member(spec, 'bfdPeers'));
  const hasFilter = elements(member(spec, 'filters')).length > 0;
  const all = [...neighbors, ...bfdPeers];
  return [
    ...addresses(all).flatMap((peer) => checkPeer(peer, own)),
    ...duplicates(addresses(neighbors), 'neighbor'),
    ...neighbors.flatMap(checkHops),
    ...neighbors.flatMap((neighbor) => checkAsn(neighbor, member(bgp, 'asn').value)),
    ...neighbors.flatMap(checkDetection),
    ...checkImports(bgp),
    ...checkBfdPeers(spec, neighbors),
    ...bfdPeers.flatMap((peer) => checkSeamless(peer, hasFilter)),
  ];
};
