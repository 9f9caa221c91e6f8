/** For tests: any spec of a node, and any life of its host. */
import fc from 'fast-check';
import type { EdgeService } from '../../model/anycast';
import type { EdgeSpec } from '../../model/edge-spec';
import { plainFilter, type FilterSpec, type LinkSpec, type NamespaceSpec } from '../../model/node';
import { wayTo } from '../../model/service-ways';
import { exampleEdgeService } from '../../model/testing';
import { DEEDS } from '../disturb';
import { interfaceOf } from '../sysctls';
import { specOf, type Machine } from '../testing';

export const NAMES = ['alpha', 'beta'];

const linkSpec = (n: number, l: number): fc.Arbitrary<LinkSpec> =>
  fc.record({
    name: fc.constant(`h${n}${l}`),
    peer: fc.constant(`p${l}`),
    mtu: fc.constantFrom(1400, 1500),
    hostAddresses: fc.subarray([`10.${n}.${l}.1/30`, `fd00:${n}:${l}::1/64`]),
    addresses: fc.subarray([`10.${n}.${l}.2/30`, `10.${n}.${l}.9/29`, `fd00:${n}:${l}::2/64`]),
  });

/** Routes only through links that the namespace has. */
const routesOver = (n: number, links: LinkSpec[]): fc.Arbitrary<NamespaceSpec['routes']> => {
  const routes = links.flatMap(({ addresses, name }) => {
    const l = Number(name.slice(-1));
    const v4 = addresses.includes(`10.${n}.${l}.2/30`);
    const v6 = addresses.includes(`fd00:${n}:${l}::2/64`);
    return [
      ...(v4 ? [{ to: `192.168.${l}.0/24`, via: `10.${n}.${l}.1` }] : []),
      ...(v6 ? [{ to: `fd77:${l}::/48`, via: `fd00:${n}:${l}::1` }] : []),
    ];
  });
  return fc.subarray(routes);
};

const SYSCTLS = [
  'net.ipv4.ip_forward',
  'net.ipv4.conf.all.rp_filter',
  'net.ipv4.conf.p0.rp_filter',
];

/** Sysctls of interfaces only where the namespace has them: no kernel has the others. */
const sysctlsFor = (links: LinkSpec[]): fc.Arbitrary<NamespaceSpec['sysctls']> => {
  const has = (owner: string | null): boolean =>
    owner === null || links.some(({ peer }) => peer === owner);
  return fc
    .subarray(SYSCTLS.filter((key) => has(interfaceOf(key))))
    .map((keys) => Object.fromEntries(keys.map((key) => [key, '1'])));
};

const namespaceSpec = (name: string, n: number): fc.Arbitrary<NamespaceSpec> =>
  fc
    .tuple(linkSpec(n, 0), linkSpec(n, 1))
    .chain((links) => fc.subarray(links))
    .chain((links) =>
      fc.record({
        name: fc.constant(name),
        links: fc.constant(links),
        routes: routesOver(n, links),
        sysctls: sysctlsFor(links),
      }),
    );

const ADDRESSES = ['203.0.113.1', '203.0.113.2', '2001:db8:a::1'];

/** One of them announces more than it serves. */
const serving = (name: string, address: string, namespace: string): EdgeService => {
  const service = exampleEdgeService(name, [address], namespace);
  return address === ADDRESSES[1] ? { ...service, prefixes: ['203.0.113.0/24'] } : service;
};

/** Only what the host has a way to; each address in one namespace. */
const servicesIn = (namespaces: NamespaceSpec[]): fc.Arbitrary<EdgeService[]> => {
  const places = namespaces.flatMap((ns) =>
    ADDRESSES.filter((address) => wayTo(ns, address) !== null).map((address) => ({
      namespace: ns.name,
      address,
    })),
  );
  return fc.shuffledSubarray(places).map((chosen) => {
    const once = chosen.filter(
      ({ address }, i) => chosen.findIndex((other) => other.address === address) === i,
    );
    return once.map(({ namespace, address }, i) => serving(`s${i}`, address, namespace));
  });
};

export const anySpec: fc.Arbitrary<EdgeSpec> = fc
  .record({
    namespaces: fc
      .tuple(...NAMES.map(namespaceSpec))
      .chain((namespaces) => fc.subarray(namespaces)),
    filters: fc
      .constantFrom<FilterSpec['mode']>('native', 'generic')
      .chain((mode) => fc.subarray([plainFilter('uplink0', mode)])),
  })
  .chain(({ namespaces, filters }) =>
    servicesIn(namespaces).map((services) => ({ ...specOf(namespaces, filters), services })),
  );

const PLACES = ['h00', 'h01', 'h10', 'alpha/p0', 'alpha/p1', 'beta/p0'];
const place = fc.constantFrom(...PLACES);
const loopback = fc.constantFrom('alpha/lo', 'beta/lo');
export const namespaceName = fc.constantFrom(...NAMES);

/** What others do without taking a name that we need. */
export const deed: fc.Arbitrary<string[]> = fc.oneof(
  fc.tuple(fc.constant('delete-namespace'), namespaceName),
  fc.tuple(fc.constantFrom('delete-link', 'set-down'), place),
  fc.tuple(fc.constant('rename-link'), place, fc.constantFrom('odd0', 'odd1')),
  fc.tuple(fc.constant('move-link'), place, fc.constantFrom('root', ...NAMES)),
  fc.tuple(fc.constant('set-mtu'), place, fc.constantFrom('1300', '9000')),
  fc.tuple(fc.constant('add-address'), place, fc.constantFrom('198.51.100.1/32', 'fe80::9/64')),
  fc.tuple(
    fc.constant('delete-address'),
    place,
    fc.constantFrom('10.0.0.1/30', '10.0.0.2/30', 'fd00:0:0::2/64', '10.1.0.2/30'),
  ),
  fc.tuple(fc.constant('delete-route'), namespaceName, fc.constantFrom('192.168.0.0/24')),
  fc.tuple(
    fc.constant('add-route'),
    namespaceName,
    fc.constant('172.16.0.0/12'),
    fc.constant('10.0.0.1'),
  ),
  fc.tuple(fc.constant('set-down'), loopback),
  fc.tuple(
    fc.constantFrom('add-address', 'delete-address'),
    loopback,
    fc.constantFrom('203.0.113.1/32', '203.0.113.9/32', '2001:db8:a::1/128'),
  ),
  fc.tuple(
    fc.constant('delete-route'),
    fc.constant('root'),
    fc.constantFrom('203.0.113.1/32', '203.0.113.0/24', '2001:db8:a::1/128'),
  ),
  fc.tuple(fc.constant('set-sysctl'), namespaceName, fc.constantFrom(...SYSCTLS), fc.constant('7')),
  fc.tuple(
    fc.constantFrom(
      'detach-xdp',
      'remove-pin',
      'load-older-program',
      'swap-interface',
      'edit-filter',
      'unpin-map',
    ),
    fc.constant('uplink0'),
  ),
  fc.tuple(fc.constant('add-link'), fc.constant('root'), fc.constantFrom('theirs0', 'theirs1')),
);

export type Event = { spec: EdgeSpec } | { deed: string[] } | { spec: EdgeSpec; steps: number };

/** Specs applied, specs applied up to a kill, and deeds of others. */
export const event: fc.Arbitrary<Event> = fc.oneof(
  anySpec.map((spec) => ({ spec })),
  fc.record({ spec: anySpec, steps: fc.nat(12) }),
  deed.map((words) => ({ deed: words })),
  deed.map((words) => ({ deed: words })),
);

export const live = (machine: Machine, events: readonly Event[]): void => {
  for (const one of events) {
    if ('deed' in one) DEEDS[one.deed[0] ?? '']?.(machine, ...one.deed.slice(1));
    else machine.run(one.spec, machine.plan(one.spec).waves, 'steps' in one ? one.steps : Infinity);
  }
};
