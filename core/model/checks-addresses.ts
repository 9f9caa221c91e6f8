/** Interface addresses of a node: usable, unique, and no two links of one side in one prefix. */
import { pathText, type Issue } from './issues';
import { formatPrefix, isHostAddress, isLinkLocal, isUnicast, network, overlaps } from './prefix';
import type { Prefix } from './prefix';
import type { At, LinkView, NamespaceView } from './view';

const checkUsable = ({ value, path }: At<Prefix>): Issue[] => {
  if (!isUnicast(value)) {
    const message = `${formatPrefix(value)} is no unicast address`;
    return [{ path, code: 'unusable', message, expected: 'an address of one interface' }];
  }
  if (isHostAddress(value)) return [];
  return [
    {
      path,
      code: 'unusable',
      message: `${formatPrefix(value)} is the prefix itself or its broadcast address`,
      expected: `an address inside ${formatPrefix(network(value))}`,
    },
  ];
};

/** An address and the link it is on. */
interface Placed extends At<Prefix> {
  link: LinkView;
}

const placed = (links: readonly LinkView[], side: 'hostAddresses' | 'addresses'): Placed[] =>
  links.flatMap((link) => link[side].map((at) => ({ ...at, link })));

const sameAddress = (a: Prefix, b: Prefix): boolean => a.family === b.family && a.bits === b.bits;

/** Two addresses that cannot both be; null where they can. */
const clash = (
  earlier: Placed,
  later: Placed,
): Pick<Issue, 'code' | 'message' | 'expected'> | null => {
  const at = pathText(earlier.path);
  if (sameAddress(earlier.value, later.value)) {
    const message = `${formatPrefix(later.value)} is used by ${at}`;
    return { code: 'duplicate', message, expected: 'an address of its own' };
  }
  if (earlier.link === later.link || !overlaps(earlier.value, later.value)) return null;
  return {
    code: 'overlap',
    message: `${formatPrefix(later.value)} overlaps ${formatPrefix(earlier.value)} (${at})`,
    expected: 'a prefix that no other link of this side has a part of',
  };
};

/** Of one side: the host, or one namespace. Link-local addresses repeat on every link. */
const checkSide = (all: readonly Placed[]): Issue[] => {
  const addresses = all.filter(({ value }) => !isLinkLocal(value));
  return addresses.flatMap((later, i) => {
    for (const earlier of addresses.slice(0, i)) {
      const found = clash(earlier, later);
      if (found !== null) return [{ path: later.path, ...found }];
    }
    return [];
  });
};

/** The two ends of a veth are two machines to each other. */
const checkEnds = ({ hostAddresses, addresses }: LinkView): Issue[] =>
  addresses.flatMap(({ value, path }) => {
    const twin = hostAddresses.find((host) => sameAddress(host.value, value));
    if (twin === undefined) return [];
    const message = `${formatPrefix(value)} is also the host's end (${pathText(twin.path)})`;
    return [{ path, code: 'duplicate', message, expected: 'another address for each end' }];
  });

export const checkAddresses = (namespaces: readonly NamespaceView[]): Issue[] => {
  const links = namespaces.flatMap((namespace) => namespace.links);
  const host = placed(links, 'hostAddresses');
  const inside = namespaces.map((namespace) => placed(namespace.links, 'addresses'));
  return [
    ...[host, ...inside].flat().flatMap(checkUsable),
    ...[host, ...inside].flatMap(checkSide),
    ...links.flatMap(checkEnds),
  ];
};
