/** Interface addresses of a node: usable, unique, and no two links of one side in one prefix. */
import { pathText, type Issue } from './issues';
import {
  contains,
  formatAddress,
  formatPrefix,
  isHostAddress,
  isLinkLocal,
  isUnicast,
  network,
} from './prefix';
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

const byStart = (a: Placed, b: Placed): number => {
  const [x, y] = [network(a.value), network(b.value)];
  if (x.bits !== y.bits) return x.bits < y.bits ? -1 : 1;
  return x.length - y.length;
};

const holds = (outer: Placed | undefined, inner: Placed): boolean =>
  outer === undefined || contains(outer.value, inner.value);

/** Each prefix with those that hold it: prefixes overlap only by lying one in the other. */
const nested = (family: readonly Placed[]): [Placed, Placed][] => {
  const open: Placed[] = [];
  const found: [Placed, Placed][] = [];
  for (const inner of [...family].sort(byStart)) {
    while (!holds(open.at(-1), inner)) open.pop();
    const outer = [...open].reverse().find((holder) => holder.link !== inner.link);
    if (outer !== undefined) found.push([outer, inner]);
    open.push(inner);
  }
  return found;
};

const overlapIssue = (earlier: Placed, later: Placed): Issue => ({
  path: later.path,
  code: 'overlap',
  message: `${formatPrefix(later.value)} overlaps ${formatPrefix(earlier.value)} (${pathText(earlier.path)})`,
  expected: 'a prefix that no other link of this side has a part of',
});

/** Of each address that is there twice, the later ones. */
const repeated = (addresses: readonly Placed[]): Map<Placed, Placed> => {
  const first = new Map<string, Placed>();
  const again = new Map<Placed, Placed>();
  for (const placed of addresses) {
    const text = formatAddress(placed.value);
    const earlier = first.get(text);
    if (earlier === undefined) first.set(text, placed);
    else again.set(placed, earlier);
  }
  return again;
};

/** Of one side: the host, or one namespace. Link-local addresses repeat on every link. */
const checkSide = (all: readonly Placed[]): Issue[] => {
  const addresses = all.filter(({ value }) => !isLinkLocal(value));
  const again = repeated(addresses);
  const duplicates = [...again].map(([{ value, path }, earlier]) => ({
    path,
    code: 'duplicate',
    message: `${formatPrefix(value)} is used by ${pathText(earlier.path)}`,
    expected: 'an address of its own',
  }));
  const place = new Map(addresses.map((placed, i) => [placed, i]));
  const inOrder = ([a, b]: [Placed, Placed]): Issue =>
    (place.get(a) ?? 0) < (place.get(b) ?? 0) ? overlapIssue(a, b) : overlapIssue(b, a);
  const unique = addresses.filter((placed) => !again.has(placed));
  const families = [4, 6].map((family) => unique.filter(({ value }) => value.family === family));
  return [...duplicates, ...families.flatMap((family) => nested(family).map(inOrder))];
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
