/** What a lab consists of, as plain values: hosts, the links between them, the processes on them. */
import type { NodeResource } from '../core/model/node';

export type Role =
  | 'fabric'
  | 'router'
  | 'client'
  | 'observer'
  | 'etcd'
  | 'temporal'
  | 'controller'
  | 'edge'
  /** Thousands of simulated edges in one process. */
  | 'fleet';

/** A host of the lab: a network, a mount and a UTS namespace of its own. */
export interface Host {
  name: string;
  role: Role;
  /** IPv4 address on the management network, without prefix length. */
  address: string;
}

export interface LinkEnd {
  host: string;
  name: string;
  /** `address/prefixLength`, both families. */
  addresses: string[];
  /** Port of the fabric's bridge: carries no address of its own. */
  bridged?: boolean;
}

export interface Link {
  /**
   * `fra-1` is the uplink of that edge, `eu-central:us-east` the backbone between two routers, `client`
   * the client's, `mgmt:fra-1` the way of a host to the control plane.
   */
  name: string;
  /** It is cut at the first end: a router's or the fabric's, where Aether has no hand. */
  ends: [LinkEnd, LinkEnd];
}

export interface HostRoute {
  host: string;
  to: string;
  via: string;
}

export interface Topology {
  hosts: Host[];
  links: Link[];
  routes: HostRoute[];
}

export interface Size {
  controllers: number;
  etcds: number;
  /** Hosts with simulated edges. */
  fleets?: number;
}

/** Everything lies in 198.18.0.0/15, which RFC 2544 sets aside for tests, and in fd00:198::/32. */
const MANAGEMENT_BITS = { ipv4: 16, ipv6: 64 } as const;
export const BRIDGE = 'mgmt';
/** The link to the router on every edge; the lab makes it, Aether only attaches its filter. */
export const UPLINK = 'uplink0';
export const CLIENT = 'client';
export const OBSERVER = 'observer';
/** Where the client lives, behind the first router. */
export const CLIENT_NETWORKS = ['198.19.255.0/24', 'fd00:198:19:c000::/64'] as const;

const management = (subnet: number, index: number): string =>
  `198.18.${subnet + (index >> 8)}.${index & 255}`;

/** The IPv6 address that goes with an IPv4 address of the management network. */
export const managementIpv6 = (address: string): string =>
  `fd00:198:18::${address.split('.').slice(2).join(':')}`;

/** /30 and /64 number `index` below 198.19.`third`.0. */
const pair = (third: number, network: number, index: number, end: 1 | 2): [string, string] => [
  `198.19.${third + (index >> 6)}.${(index & 63) * 4 + end}/30`,
  `fd00:198:19:${(network + index).toString(16)}::${end}/64`,
];
/** Of the link between edge number `index` and its router. */
export const uplinkAddresses = (index: number, end: 1 | 2): [string, string] =>
  pair(0, 1, index, end);
const backboneAddresses = (index: number, end: 1 | 2): [string, string] =>
  pair(240, 0xb000, index, end);
const clientAddresses = (end: 1 | 2): [string, string] => [
  `198.19.255.${end}/24`,
  `fd00:198:19:c000::${end}/64`,
];

const numbered = (prefix: string, role: Role, subnet: number, count: number): Host[] =>
  Array.from({ length: count }, (_, i) => ({
    name: `${prefix}-${i + 1}`,
    role,
    address: management(subnet, i + 1),
  }));

export const bare = (cidr: string): string => cidr.slice(0, cidr.indexOf('/'));
const isIpv6 = (text: string): boolean => text.includes(':');

/** Regions in the order in which the nodes name them. */
export const regionsOf = (nodes: readonly NodeResource[]): string[] => [
  ...new Set(nodes.map(({ metadata }) => metadata.region)),
];

export const routerOf = (region: string): string => `router-${region}`;
export const routerOfNode = ({ metadata }: NodeResource): string => routerOf(metadata.region);

export interface Backbone {
  /** Indices of two regions, the lower one first. */
  between: [number, number];
  /** Of both ends, without prefix length, IPv4 and IPv6. */
  addresses: [[string, string], [string, string]];
  link: Link;
}

/** Every router has a link to every other one. */
export function backbonesOf(regions: readonly string[]): Backbone[] {
  const pairs = regions.flatMap((_, a) =>
    regions.slice(a + 1).map((_region, i) => [a, a + 1 + i] as [number, number]),
  );
  return pairs.map(([a, b], index) => {
    const [first, second] = [backboneAddresses(index, 1), backboneAddresses(index, 2)];
    const [one = '', other = ''] = [regions[a], regions[b]];
    return {
      between: [a, b],
      addresses: [
        [bare(first[0]), bare(first[1])],
        [bare(second[0]), bare(second[1])],
      ],
      link: {
        name: `${one}:${other}`,
        ends: [
          { host: routerOf(one), name: `bb${b + 1}`, addresses: first },
          { host: routerOf(other), name: `bb${a + 1}`, addresses: second },
        ],
      },
    };
  });
}

const through = (via: readonly [string, string], to: string): string => via[isIpv6(to) ? 1 : 0];

const DEFAULTS = ['0.0.0.0/0', '::/0'] as const;

/** What is behind an edge: its end of the uplink, and what its namespaces will hold. */
const behind = (node: NodeResource, index: number): { uplink: string[]; inside: string[] } => ({
  uplink: uplinkAddresses(index, 2),
  inside: node.spec.namespaces.flatMap(({ links }) => links.flatMap(({ addresses }) => addresses)),
});

/** Static ones: whatever BGP does, edges, routers and the client reach one another. */
function routesOf(nodes: readonly NodeResource[]): HostRoute[] {
  const regions = regionsOf(nodes);
  const routes: HostRoute[] = nodes.flatMap((node, index) => {
    const [near, far] = [uplinkAddresses(index, 1), uplinkAddresses(index, 2)] as const;
    const host = routerOfNode(node);
    const inside = behind(node, index).inside;
    return [
      ...inside.map((to) => ({ host, to, via: bare(through(far, to)) })),
      ...DEFAULTS.map((to) => ({ host: node.metadata.name, to, via: bare(through(near, to)) })),
    ];
  });
  for (const { between, addresses } of backbonesOf(regions)) {
    for (const [here, there, via] of [
      [between[0], between[1], addresses[1]],
      [between[1], between[0], addresses[0]],
    ] as const) {
      const host = routerOf(regions[here] ?? '');
      const beyond = nodes.flatMap((node, index) => {
        const { uplink, inside } = behind(node, index);
        return node.metadata.region === regions[there] ? [...uplink, ...inside] : [];
      });
      if (there === 0) beyond.push(...CLIENT_NETWORKS);
      routes.push(...beyond.map((to) => ({ host, to, via: through(via, to) })));
    }
  }
  if (regions.length === 0) return routes;
  const via = clientAddresses(1);
  return [...routes, ...DEFAULTS.map((to) => ({ host: CLIENT, to, via: bare(through(via, to)) }))];
}

const uplink = (node: NodeResource, index: number): Link => ({
  name: node.metadata.name,
  ends: [
    {
      host: routerOfNode(node),
      name: `edge${index + 1}`,
      addresses: uplinkAddresses(index, 1),
    },
    { host: node.metadata.name, name: UPLINK, addresses: uplinkAddresses(index, 2) },
  ],
});

const clientLink = (router: string): Link => ({
  name: CLIENT,
  ends: [
    { host: router, name: 'client', addresses: clientAddresses(1) },
    { host: CLIENT, name: 'eth0', addresses: clientAddresses(2) },
  ],
});

const managementLink = ({ name, address }: Host, index: number): Link => ({
  name: `mgmt:${name}`,
  ends: [
    { host: 'fabric', name: `port${index + 1}`, addresses: [], bridged: true },
    {
      host: name,
      name: 'mgmt0',
      addresses: [
        `${address}/${MANAGEMENT_BITS.ipv4}`,
        `${managementIpv6(address)}/${MANAGEMENT_BITS.ipv6}`,
      ],
    },
  ],
});

export const speaksBgp = ({ spec }: NodeResource): boolean => spec.bgp !== null;

/**
 * A whole Aether: control plane, one edge for each node, a router for each region with a backbone
 * between them, a client behind the first; an observer where any node speaks BGP.
 */
export function wholeAether(nodes: readonly NodeResource[], size: Size): Topology {
  const regions = regionsOf(nodes);
  const edges: Host[] = nodes.map((node, i) => ({
    name: node.metadata.name,
    role: 'edge',
    address: management(8, i + 1),
  }));
  const routers: Host[] = regions.map((region, i) => ({
    name: routerOf(region),
    role: 'router',
    address: management(4, i + 1),
  }));
  const [first] = routers;
  const attached: Host[] = [
    ...numbered('etcd', 'etcd', 1, size.etcds),
    { name: 'temporal', role: 'temporal', address: management(2, 1) },
    ...numbered('ctl', 'controller', 3, size.controllers),
    ...numbered('fleet', 'fleet', 7, size.fleets ?? 0),
    ...routers,
    ...(nodes.some(speaksBgp)
      ? [{ name: OBSERVER, role: 'observer' as const, address: management(5, 1) }]
      : []),
    ...edges,
  ];
  const client: Host = { name: CLIENT, role: 'client', address: management(6, 1) };
  return {
    hosts: [
      { name: 'fabric', role: 'fabric', address: management(0, 1) },
      ...attached,
      ...(first === undefined ? [] : [client]),
    ],
    links: [
      ...attached.map(managementLink),
      ...nodes.map(uplink),
      ...backbonesOf(regions).map(({ link }) => link),
      ...(first === undefined ? [] : [clientLink(first.name)]),
    ],
    routes: routesOf(nodes),
  };
}

export const hostsOf = (topology: Topology, role: Role): Host[] =>
  topology.hosts.filter((host) => host.role === role);
