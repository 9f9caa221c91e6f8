/** Where a service's addresses live on a node, and by which link of its the host reaches them. */
import type { LinkSpec, NamespaceSpec } from './node';
import {
  contains,
  type Family,
  formatAddress,
  isLinkLocal,
  parseAddress,
  parsePrefix,
  type Prefix,
} from './prefix';

/** `203.0.113.10` as what `lo` holds and the host's route is for: /32, and /128 of IPv6. */
export const hostPrefix = (address: string): string =>
  `${address}/${address.includes(':') ? 128 : 32}`;

/** A link, and the address inside the namespace that the host sends to. */
export interface Way {
  link: LinkSpec;
  via: string;
}

const prefixesOf = (addresses: readonly string[], family: Family): Prefix[] =>
  addresses.map(parsePrefix).filter((prefix): prefix is Prefix => prefix?.family === family);

const wayOf = (link: LinkSpec, family: Family): Way[] => {
  const near = prefixesOf(link.hostAddresses, family);
  return prefixesOf(link.addresses, family)
    .filter((address) => !isLinkLocal(address))
    .filter((address) => near.some((host) => contains(host, address)))
    .map((address) => ({ link, via: formatAddress(address) }));
};

/** By the first link with addresses of that family that see each other; null where there is none. */
export const wayTo = ({ links }: Pick<NamespaceSpec, 'links'>, address: string): Way | null => {
  const family = parseAddress(address)?.family ?? 4;
  return links.flatMap((link) => wayOf(link, family))[0] ?? null;
};
