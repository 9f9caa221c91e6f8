/** A network namespace as the kernel keeps it: what falls with a link, an address, a state. */
import type { ObservedAddress, ObservedLink, ObservedNetns, ObservedRoute } from '../model/host';
import { contains, parseAddress, parsePrefix } from '../model/prefix';
import { fallWith } from './addresses';

/** Whether the gateway lies in the prefix of an interface address. */
const covers = (address: string, gateway: string): boolean => {
  const prefix = parsePrefix(address);
  const parsed = parseAddress(gateway);
  return prefix !== null && parsed !== null && contains(prefix, parsed);
};

const isIPv6 = (text: string): boolean => text.includes(':');

export class ModelNetns {
  readonly inode: number;
  readonly links = new Map<string, ObservedLink>();
  routes: ObservedRoute[];
  sysctls: Record<string, string | null>;

  constructor(observed: ObservedNetns) {
    this.inode = observed.inode;
    for (const link of observed.links) {
      this.links.set(link.name, { ...link, addresses: [...link.addresses] });
    }
    this.routes = [...observed.routes];
    this.sysctls = { ...observed.sysctls };
  }

  observed(): ObservedNetns {
    const { inode, routes, sysctls } = this;
    return { inode, links: [...this.links.values()], routes, sysctls };
  }

  byIndex(ifindex: number): ObservedLink | undefined {
    for (const link of this.links.values()) if (link.ifindex === ifindex) return link;
    return undefined;
  }

  remove(link: ObservedLink): void {
    this.links.delete(link.name);
    this.dropRoutes(link);
  }

  /** Takes the link down: its routes go, and its IPv6 addresses (addrconf_ifdown). */
  takeDown(link: ObservedLink): void {
    link.up = false;
    link.addresses = link.addresses.filter(({ address }) => !isIPv6(address));
    this.dropRoutes(link);
  }

  rename(link: ObservedLink, name: string): void {
    if (link.up) this.takeDown(link);
    this.links.delete(link.name);
    link.name = name;
    this.links.set(name, link);
  }

  /** Routes through the deleted address' subnet are taken to fall: to add one again is harmless. */
  deleteAddress(link: ObservedLink, address: string): void {
    const gone: string[] = [address, ...fallWith(link.addresses, address).map((a) => a.address)];
    link.addresses = link.addresses.filter((other) => !gone.includes(other.address));
    const reachable = (via: string): boolean =>
      link.addresses.some((other) => covers(other.address, via));
    this.routes = this.routes.filter(
      ({ ifindex, via }) => ifindex !== link.ifindex || via === null || reachable(via),
    );
  }

  /** The link that leads to a gateway: up, and with an address in the gateway's prefix. */
  linkTo(gateway: string): ObservedLink | undefined {
    const leads = ({ address }: ObservedAddress): boolean => covers(address, gateway);
    for (const link of this.links.values()) if (link.up && link.addresses.some(leads)) return link;
    return undefined;
  }

  private dropRoutes({ ifindex }: ObservedLink): void {
    this.routes = this.routes.filter((route) => route.ifindex !== ifindex);
  }
}

/** What a namespace is born with. */
export const newNetns = (inode: number): ObservedNetns => ({
  inode,
  links: [
    {
      ifindex: 1,
      name: 'lo',
      kind: null,
      alias: null,
      mtu: 65_536,
      up: false,
      peerIfindex: null,
      peerInode: null,
      addresses: [],
    },
  ],
  routes: [],
  sysctls: {},
});
