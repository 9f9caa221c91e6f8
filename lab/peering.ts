/** Who peers with whom in a lab whose nodes speak BGP: the routers' side of it, and the observer's. */
import type { NodeResource } from '../core/model/node';
import type { RouterConfig, RouterKind, RouterNeighbor } from './routers/types';
import {
  CLIENT_NETWORKS,
  OBSERVER,
  backbonesOf,
  bare,
  hostsOf,
  managementIpv6,
  regionsOf,
  routerOf,
  speaksBgp,
  uplinkAddresses,
} from './topology';
import type { Host, Topology } from './topology';

/** Of the first region's router; the others count on. */
export const ROUTER_ASN = 64_500;
const OBSERVER_ASN = 64_599;
const BACKBONE_BFD = { intervalMs: 300, multiplier: 3 };
export const OBSERVER_PORT = 50_051;
export const DEFAULT_ROUTERS: readonly RouterKind[] = ['bird', 'frr'];
/** What documents are written with (RFC 5737, RFC 3849): the services of a lab have their addresses there. */
const SERVICE_PREFIXES = ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32'];

/** A speaker of the lab that is not an edge. */
export interface LabRouter {
  host: string;
  kind: RouterKind;
  config: RouterConfig;
}

/** Where its files and sockets are, in the file system of its host. */
export const ROUTER_DIRECTORY = '/run/router';

/** The other side of each neighbour that the node declares on its uplink. */
function edgeNeighbors(node: NodeResource, index: number): RouterNeighbor[] {
  const { bgp } = node.spec;
  if (bgp === null) return [];
  const [ours, theirs] = [uplinkAddresses(index, 1), uplinkAddresses(index, 2)];
  return ours.flatMap((address, family) => {
    const declared = bgp.neighbors.find((neighbor) => neighbor.address === bare(address));
    if (declared === undefined) return [];
    const { bfd, ttlSecurity } = declared;
    return {
      address: bare(theirs[family] ?? ''),
      asn: bgp.asn,
      bfd: bfd === null ? null : { intervalMs: bfd.intervalMs, multiplier: bfd.multiplier },
      ttlSecurity,
    };
  });
}

function backboneNeighbors(regions: readonly string[], own: number): RouterNeighbor[] {
  return backbonesOf(regions).flatMap(({ between, addresses }) => {
    const at = between.indexOf(own);
    if (at === -1) return [];
    const asn = ROUTER_ASN + (between[1 - at] ?? 0);
    return (addresses[1 - at] ?? []).map((address) => ({ address, asn, bfd: BACKBONE_BFD }));
  });
}

const bothFamilies = ({ address }: Host): string[] => [address, managementIpv6(address)];

export function peeringOf(
  topology: Topology,
  nodes: readonly NodeResource[],
  kinds: readonly RouterKind[] = DEFAULT_ROUTERS,
): LabRouter[] {
  const [observer] = hostsOf(topology, 'observer');
  if (observer === undefined || !nodes.some(speaksBgp)) return [];
  const regions = regionsOf(nodes);
  const hosts = hostsOf(topology, 'router');
  const routers = hosts.map((host, own): LabRouter => {
    const region = regions[own];
    const edges = nodes.flatMap((node, index) =>
      node.metadata.region === region ? edgeNeighbors(node, index) : [],
    );
    const watching = bothFamilies(observer).map((address) => ({
      address,
      asn: OBSERVER_ASN,
      tellAllPaths: true,
    }));
    return {
      host: host.name,
      kind: kinds[own % kinds.length] ?? 'bird',
      config: {
        asn: ROUTER_ASN + own,
        routerId: host.address,
        neighbors: [...edges, ...backboneNeighbors(regions, own), ...watching],
        announce: host.name === routerOf(regions[0] ?? '') ? [...CLIENT_NETWORKS] : [],
        kernel: true,
      },
    };
  });
  return [...routers, { host: OBSERVER, kind: 'gobgpd', config: observing(observer, hosts) }];
}

const observing = (observer: Host, routers: readonly Host[]): RouterConfig => ({
  asn: OBSERVER_ASN,
  routerId: observer.address,
  neighbors: routers.flatMap((host, own) =>
    bothFamilies(host).map((address) => ({
      address,
      asn: ROUTER_ASN + own,
      hearAllPaths: true,
    })),
  ),
  announce: [],
  hears: SERVICE_PREFIXES,
  kernel: false,
  apiListen: [`${observer.address}:${OBSERVER_PORT}`],
});
