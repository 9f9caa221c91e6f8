/** What no single field of an AnycastService can get wrong. */
import { duplicates } from './checks-names';
import { parseDuration } from './duration';
import type { Issue } from './issues';
import {
  type Address,
  contains,
  formatAddress,
  formatPrefix,
  isNetwork,
  isUnicast,
  network,
  parseAddress,
  parsePrefix,
  type Prefix,
} from './prefix';
import { type At, elements, member, type Path, present, read } from './view';

/** The longest that networks beyond one's own take. */
const SHORTEST = { 4: 24, 6: 48 } as const;
const WHOLE = { 4: 32, 6: 128 } as const;
const PROBES = ['tcp', 'http', 'dns', 'command'] as const;
const PROBES_TEXT = 'one of tcp, http, dns, command';
/** Told by an edge that steps back (RFC 8326), so nobody may tell it always. */
const GRACEFUL_SHUTDOWN = /^0*65535:0+$/;

const issue = (path: Path, code: string, message: string, expected: string): Issue => ({
  path,
  code,
  message,
  expected,
});

const checkPrefix = ({ value, path }: At<Prefix>): Issue[] => {
  const text = formatPrefix(value);
  if (!isUnicast(value)) {
    return [issue(path, 'unusable', `${text} is not unicast`, 'a prefix of hosts')];
  }
  if (!isNetwork(value)) {
    const message = `${text} has bits set behind its length`;
    return [issue(path, 'hostBits', message, formatPrefix(network(value)))];
  }
  const shortest = SHORTEST[value.family];
  if (value.length >= shortest) return [];
  const message = `/${value.length} would draw in more than a service is`;
  return [issue(path, 'outOfRange', message, `/${shortest} or longer`)];
};

const checkAddress = ({ value, path }: At<Address>, prefixes: readonly At<Prefix>[]): Issue[] => {
  if (prefixes.length === 0 || prefixes.some((prefix) => contains(prefix.value, value))) return [];
  const message = `${formatAddress(value)} is in none of the prefixes`;
  const expected = `an address of ${prefixes.map((at) => formatPrefix(at.value)).join(' or ')}`;
  return [issue(path, 'outside', message, expected)];
};

/** What nobody serves would draw packets in that nobody answers. */
const checkServed = (prefixes: readonly At<Prefix>[], addresses: readonly At<Address>[]): Issue[] =>
  prefixes
    .filter(({ value }) => value.length < WHOLE[value.family])
    .filter(({ value }) => !addresses.some((address) => contains(value, address.value)))
    .filter(({ value }) => !prefixes.some((other) => isHostOf(other.value, value)))
    .map(({ value, path }) => {
      const message = `no address of ${formatPrefix(value)} is served`;
      return issue(path, 'contradiction', message, 'one of its addresses among addresses');
    });

const isHostOf = (host: Prefix, prefix: Prefix): boolean =>
  host.length === WHOLE[host.family] && contains(prefix, host);

const checkRegions = (regions: At<unknown>): Issue[] => {
  const all = elements(regions);
  const names = present(all.map((at) => read(member(at, 'name'), (text) => text)));
  const standBy = all.length > 0 && all.every((at) => member(at, 'weight').value === 0);
  const message = 'every region stands by: nobody would announce it';
  const expected = 'a weight above 0 for one of them';
  return [
    ...duplicates(names, 'region'),
    ...(standBy ? [issue(regions.path, 'contradiction', message, expected)] : []),
  ];
};

const checkCommunities = (communities: At<unknown>): Issue[] => {
  const all = present(elements(communities).map((at) => read(at, (text) => text)));
  return [
    ...duplicates(all, 'community'),
    ...all
      .filter(({ value }) => GRACEFUL_SHUTDOWN.test(value))
      .map(({ path }) => {
        const message = '65535:0 says "better not me", and edges say it by themselves';
        return issue(path, 'contradiction', message, 'other communities');
      }),
  ];
};

const checkHealth = (health: At<unknown>): Issue[] => {
  if (typeof health.value !== 'object' || health.value === null) return [];
  const probes = PROBES.map((name) => member(health, name)).filter((at) => at.value !== undefined);
  const [, second] = probes;
  const [intervalMs, timeoutMs] = ['interval', 'timeout'].map((name) => {
    const { value } = member(health, name);
    return typeof value === 'string' ? parseDuration(value) : null;
  });
  const tooLong = intervalMs != null && timeoutMs != null && timeoutMs > intervalMs;
  const late = `would still wait when the next one is due, after ${intervalMs} ms`;
  return [
    ...(probes.length === 0 ? [issue(health.path, 'missing', 'asks nothing', PROBES_TEXT)] : []),
    ...(second ? [issue(second.path, 'contradiction', 'is a second probe', PROBES_TEXT)] : []),
    ...(tooLong
      ? [issue([...health.path, 'timeout'], 'outOfRange', late, 'at most interval')]
      : []),
  ];
};

/** Checks a document as `checkNode` does, also one that has other errors. */
export const checkAnycast = (document: unknown): Issue[] => {
  const spec = member({ value: document, path: [] }, 'spec');
  const prefixes = present(elements(member(spec, 'prefixes')).map((at) => read(at, parsePrefix)));
  const addresses = present(
    elements(member(spec, 'addresses')).map((at) => read(at, parseAddress)),
  );
  const texts = <T>(all: readonly At<T>[], format: (value: T) => string): At<string>[] =>
    all.map(({ value, path }) => ({ value: format(value), path }));
  return [
    ...prefixes.flatMap(checkPrefix),
    ...duplicates(texts(prefixes, formatPrefix), 'prefix'),
    ...addresses.flatMap((address) => checkAddress(address, prefixes)),
    ...duplicates(texts(addresses, formatAddress), 'address'),
    ...checkServed(prefixes, addresses),
    ...checkRegions(member(spec, 'regions')),
    ...checkCommunities(member(spec, 'communities')),
    ...checkHealth(member(spec, 'health')),
  ];
};
