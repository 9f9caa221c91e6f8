/** For tests: what people and other programs do to a host behind our back. */
import type { ObservedLink } from '../model/host';
import { linkNamed, type Machine } from './testing';
import { ModelNetns, newNetns } from './model-netns';
import { interfaceOf } from './sysctls';

type Deed = (machine: Machine, ...words: string[]) => void;

/** `edge/eth0` is in a namespace, `edge0` in the root. */
const find = ({ host }: Machine, place: string): [ModelNetns, ObservedLink] | null => {
  const slash = place.indexOf('/');
  const netns = host.netns(slash < 0 ? null : place.slice(0, slash));
  const link = netns?.links.get(place.slice(slash + 1));
  return netns === undefined || link === undefined ? null : [netns, link];
};

const onLink =
  (
    deed: (netns: ModelNetns, link: ObservedLink, words: string[], machine: Machine) => void,
  ): Deed =>
  (machine, place = '', ...words) => {
    const found = find(machine, place);
    if (found !== null) deed(found[0], found[1], words, machine);
  };

const onNetns =
  (deed: (netns: ModelNetns, words: string[], machine: Machine) => void): Deed =>
  (machine, name = '', ...words) => {
    const netns = machine.host.netns(name === 'root' ? null : name);
    if (netns !== undefined) deed(netns, words, machine);
  };

/** Moving a link takes it down and its addresses away; its number is a new one. */
const move = (
  netns: ModelNetns,
  link: ObservedLink,
  [to = '']: string[],
  { host }: Machine,
): void => {
  const target = host.netns(to === 'root' ? null : to);
  if (target === undefined || target === netns || target.links.has(link.name)) return;
  const peer = host.peerOf(link);
  netns.remove(link);
  const moved = { ...link, ifindex: host.number(), up: false, addresses: [] };
  target.links.set(moved.name, moved);
  if (peer !== null) {
    Object.assign(peer.link, { peerIfindex: moved.ifindex, peerInode: target.inode });
  }
};

const deleteNamespace = ({ host }: Machine, name = ''): void => {
  const netns = host.netns(name);
  if (name === 'root') return;
  if (netns !== undefined)
    for (const link of [...netns.links.values()]) host.deletePair(netns, link);
  host.namespaces.delete(name);
};

const setFilter = ({ host }: Machine, name: string, change: object): void => {
  for (const filter of host.filters) if (filter.interface === name) Object.assign(filter, change);
};

/** Names are commands of the transcripts. */
export const DEEDS: Record<string, Deed> = {
  'delete-namespace': deleteNamespace,
  /** `ip netns del` and `ip netns add`: the same name, another namespace. */
  'replace-namespace': (machine, name = '') => {
    deleteNamespace(machine, name);
    machine.host.namespaces.set(name, new ModelNetns(newNetns(machine.host.number())));
  },
  'unmount-namespace': (machine, name = '') => {
    deleteNamespace(machine, name);
    machine.host.namespaces.set(name, 'unmounted');
  },
  'delete-link': onLink((netns, link, _words, { host }) => host.deletePair(netns, link)),
  'rename-link': onLink((netns, link, [name = '']) => {
    if (!netns.links.has(name)) netns.rename(link, name);
  }),
  /** From kernel 6.2 on a link may be renamed while it is up: nothing falls. */
  'rename-live': onLink((netns, link, [name = '']) => {
    netns.links.delete(link.name);
    link.name = name;
    netns.links.set(name, link);
  }),
  'move-link': onLink(move),
  'set-down': onLink((netns, link) => netns.takeDown(link)),
  'set-mtu': onLink((_netns, link, [mtu]) => {
    link.mtu = Number(mtu);
  }),
  'set-alias': onLink((_netns, link, [alias = '']) => {
    link.alias = alias;
  }),
  'clear-alias': onLink((_netns, link) => {
    link.alias = null;
  }),
  /** A link of somebody else's. */
  'add-link': onNetns((netns, [name = ''], { host }) => {
    if (!netns.links.has(name)) netns.links.set(name, linkNamed(name, host.number(), 'veth'));
  }),
  /** EEXIST in the kernel where the link has it. */
  'add-address': onLink((_netns, link, [address = '']) => {
    if (link.addresses.some((other) => other.address === address)) return;
    link.addresses.push({ address, protocol: 0 });
  }),
  'delete-address': onLink((netns, link, [address = '']) => netns.deleteAddress(link, address)),
  'add-route': onNetns((netns, [to = '', via = '', metric = '0']) => {
    const ifindex = netns.linkTo(via)?.ifindex ?? null;
    netns.routes.push({ to, via, ifindex, protocol: 4, metric: Number(metric) });
  }),
  'delete-route': onNetns((netns, [to = '']) => {
    netns.routes = netns.routes.filter((route) => route.to !== to);
  }),
  /** A key of an interface is there as long as the interface is (`all` and `default` always). */
  'set-sysctl': onNetns((netns, [key = '', value = '']) => {
    const owner = interfaceOf(key);
    if (owner === null || netns.links.has(owner)) netns.sysctls[key] = value;
  }),
  /** `bpftool link detach`: the pin stays and leads nowhere. */
  'detach-xdp': (machine, name = '') => {
    const filter = machine.host.filters.find((one) => one.interface === name);
    if (filter?.pin != null) {
      setFilter(machine, name, { attached: null, pin: { ...filter.pin, ifindex: 0 } });
    }
  },
  'remove-pin': (machine, name = '') => setFilter(machine, name, { attached: null, pin: null }),
  /** `bpftool map update`, `map delete`: somebody else writes what packets are held against. */
  'edit-filter': (machine, name = '') => {
    const detail = 'the block set of sets4 has been written to';
    setFilter(machine, name, { contents: { state: 'edited', detail } });
  },
  'unpin-map': (machine, name = '') => {
    const detail = 'the pin of its map sets6 is gone';
    setFilter(machine, name, { contents: { state: 'missing', detail } });
  },
  'attach-foreign-xdp': (machine, name = '') => {
    const attached = { programId: 7, tag: 'deadbeef', mode: 'native', ours: false };
    DEEDS['detach-xdp']?.(machine, name);
    setFilter(machine, name, { attached });
  },
  'load-older-program': (machine, name = '') => {
    const old = { programId: 8, tag: '0ld0ld' };
    const filter = machine.host.filters.find((one) => one.interface === name);
    if (filter?.pin != null && filter.attached !== null) {
      const attached = { ...filter.attached, ...old };
      setFilter(machine, name, { attached, pin: { ...filter.pin, ...old } });
    }
  },
  /** The device of that name gets another name, and another device this one. */
  'swap-interface': ({ host }, name = '') => {
    const link = host.root.links.get(name);
    if (link === undefined) return;
    host.root.rename(link, `old-${name}`);
    host.root.links.set(name, linkNamed(name, host.number(), 'veth'));
  },
};
