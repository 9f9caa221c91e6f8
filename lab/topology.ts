/** What a lab consists of, as plain values: hosts, the links between them, the processes on them. */
import type { NodeResource } from '../core/model/node';

export type Role = 'fabric' | 'router' | 'etcd' | 'temporal' | 'controller' | 'edge';

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
}

/** Everything lies in 198.18.0.0/15, which RFC 2544 sets aside for tests. */
const MANAGEMENT_BITS = 16;
export const BRIDGE = 'mgmt';
/** The link to the router on every edge; the lab makes it, Aether only attaches its filter. */
export const UPLINK = 'uplink0';

const management = (subnet: number, index: number): string =>
  `198.18.${subnet + (index >> 8)}.${index & 255}`;

/** /30 and /64 number `index` of the links between router and edges. */
function uplinkAddresses(index: number, end: 1 | 2): string[] {
  const [third, fourth] = [index >> 6, (index & 63) * 4 + end];
  return [`198.19.${third}.${fourth}/30`, `fd00:198:19:${(index + 1).toString(16)}::${end}/64`];
}

const numbered = (prefix: string, role: Role, subnet: number, count: number): Host[] =>
  Array.from({ length: count }, (_, i) => ({
    name: `${prefix}-${i + 1}`,
    role,
    address: management(subnet, i + 1),
  }));

const bare = (cidr: string): string => cidr.slice(0, cidr.indexOf('/'));

/** Routes from the router to what the nodes' namespaces will hold, by way of their uplink. */
function routesTo(node: NodeResource, index: number): HostRoute[] {
  const prefixes = node.spec.namespaces.flatMap((namespace) =>
    namespace.links.flatMap((link) => link.addresses),
  );
  return prefixes.map((prefix) => {
    const via = uplinkAddresses(index, 2).map(bare);
    const isIpv6 = prefix.includes(':');
    return { host: 'router', to: prefix, via: (isIpv6 ? via[1] : via[0]) ?? '' };
  });
}

function uplink(node: NodeResource, index: number): Link {
  return {
    ends: [
      { host: 'router', name: `edge${index + 1}`, addresses: uplinkAddresses(index, 1) },
      { host: node.metadata.name, name: UPLINK, addresses: uplinkAddresses(index, 2) },
    ],
  };
}

const managementLink = (host: Host, index: number): Link => ({
  ends: [
    { host: 'fabric', name: `port${index + 1}`, addresses: [], bridged: true },
    { host: host.name, name: 'mgmt0', addresses: [`${host.address}/${MANAGEMENT_BITS}`] },
  ],
});

/** A whole Aether: control plane, one router, and one edge for each node. */
export function wholeAether(nodes: readonly NodeResource[], size: Size): Topology {
  const edges: Host[] = nodes.map((node, i) => ({
    name: node.metadata.name,
    role: 'edge',
    address: management(8, i + 1),
  }));
  const attached: Host[] = [
    ...numbered('etcd', 'etcd', 1, size.etcds),
    { name: 'temporal', role: 'temporal', address: management(2, 1) },
    ...numbered('ctl', 'controller', 3, size.controllers),
    { name: 'router', role: 'router', address: management(4, 1) },
    ...edges,
  ];
  return {
    hosts: [{ name: 'fabric', role: 'fabric', address: management(0, 1) }, ...attached],
    links: [...attached.map(managementLink), ...nodes.map(uplink)],
    routes: nodes.flatMap(routesTo),
  };
}

export const hostsOf = (topology: Topology, role: Role): Host[] =>
  topology.hosts.filter((host) => host.role === role);
