/** What no single field can get wrong: names used twice, prefixes that overlap, gateways astray. */
import { checkAddresses } from './checks-addresses';
import { checkFilterRules } from './checks-filter';
import { duplicates } from './checks-names';
import { checkRoutes } from './checks-routes';
import { checkRouting } from './checks-routing';
import type { Issue } from './issues';
import { present, viewOf, type At, type LinkView, type NamespaceView } from './view';

/** IPv6 needs links that carry 1280 bytes (RFC 8200 §5); below, the kernel takes IPv6 away. */
const IPV6_MTU_MIN = 1280;

/** Every namespace has its loopback already. */
const checkReserved = ({ links }: NamespaceView): Issue[] =>
  present(links.flatMap(({ name, peer }) => [name, peer]))
    .filter(({ value }) => value === 'lo')
    .map(({ path }) => ({
      path,
      code: 'reserved',
      message: '"lo" is the loopback interface',
      expected: 'another interface name',
    }));

const checkMtu = ({ mtu, addresses, hostAddresses }: LinkView): Issue[] => {
  if (mtu === null || mtu.value >= IPV6_MTU_MIN) return [];
  if (![...addresses, ...hostAddresses].some(({ value }) => value.family === 6)) return [];
  const message = `${mtu.value} bytes are too few for the IPv6 addresses of this link`;
  return [{ path: mtu.path, code: 'outOfRange', message, expected: `${IPV6_MTU_MIN} or more` }];
};

/** Switching IPv6 off deletes the addresses that the same document asks for. */
const checkSysctls = ({ links, sysctls }: NamespaceView): Issue[] =>
  sysctls
    .filter(({ path, value }) => {
      const scope = /^net\.ipv6\.conf\.(.+)\.disable_ipv6$/.exec(String(path.at(-1)))?.[1];
      const meant = links.filter(({ peer }) => scope === 'all' || scope === peer?.value);
      const uses6 = meant.some(({ addresses }) => addresses.some((a) => a.value.family === 6));
      return uses6 && value.trim() !== '0';
    })
    .map(({ path }) => ({
      path,
      code: 'contradiction',
      message: 'switches IPv6 off where this namespace has IPv6 addresses',
      expected: '"0", or no IPv6 addresses',
    }));

/** XDP belongs where packets enter; our own links come and go with their namespaces. */
const checkFilters = (filters: readonly At<string>[], links: readonly LinkView[]): Issue[] => {
  const own = new Set(present(links.map(({ name }) => name)).map(({ value }) => value));
  return filters
    .filter(({ value }) => own.has(value))
    .map(({ path, value }) => ({
      path,
      code: 'ownLink',
      message: `"${value}" is a link of this node`,
      expected: 'an interface that Aether does not make, where packets enter the host',
    }));
};

/** Checks a document by its lenient view, so also one that has other errors. */
export const checkNode = (document: unknown): Issue[] => {
  const { namespaces, filters, filterDocuments } = viewOf(document);
  const links = namespaces.flatMap((namespace) => namespace.links);
  return [
    ...duplicates(present(namespaces.map(({ name }) => name)), 'namespace'),
    ...duplicates(present(links.map(({ name }) => name)), 'link'),
    ...namespaces.flatMap((ns) => duplicates(present(ns.links.map(({ peer }) => peer)), 'peer')),
    ...namespaces.flatMap(checkReserved),
    ...links.flatMap(checkMtu),
    ...checkAddresses(namespaces),
    ...namespaces.flatMap(checkRoutes),
    ...namespaces.flatMap(checkSysctls),
    ...duplicates(filters, 'filter on'),
    ...checkFilters(filters, links),
    ...filterDocuments.flatMap(checkFilterRules),
    ...checkRouting(document, links),
  ];
};
