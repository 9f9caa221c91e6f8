/** Reads a whole host: the namespace of the process and the named ones of the scope. */
import type {
  ObservedAddress,
  ObservedFilter,
  ObservedHost,
  ObservedLink,
  ObservedNamespace,
  ObservedNetns,
  ObservedRoute,
  ObserveScope,
} from '../../core/model/host';
import type { Addr } from '../../core/netlink/addr';
import { MARK } from '../../core/model/ids';
import { RTM_F_CLONED, RTN_BLACKHOLE, RTN_UNICAST, RT_TABLE_MAIN } from '../../core/netlink/consts';
import { isUp, type Link } from '../../core/netlink/link';
import type { Route } from '../../core/netlink/route';
import type { FilterEngine } from './filter/engine';
import { pinInfo, pinnedInterfaces, programTag } from './filter/pins';
import { codeOf } from './errors';
import { mapLimit } from './limit';
import { inspectName } from './netns';
import type { Room, Session } from './session';
import { isUnfinished } from './veth';

/** Namespaces read side by side. */
const AT_ONCE = 16;

/** Which namespace an nsid means, seen from one namespace: what `peerInode` is resolved by. */
type InodeOf = (nsid: number | null) => number | null;

interface Reading {
  links: Link[];
  addrs: Addr[];
  routes: Route[];
  interrupted: boolean;
}

async function read({ rtnl }: Room): Promise<Reading> {
  const [links, addrs, routes] = await Promise.all([
    rtnl.links.list(),
    rtnl.addrs.list(),
    // The best paths of BGP (RouteTable) are no part of any spec, and there may be a whole table of them.
    rtnl.routes.list(MARK.routeProtocol),
  ]);
  return {
    links: links.objects,
    addrs: addrs.objects,
    routes: routes.objects,
    interrupted: links.interrupted || addrs.interrupted || routes.interrupted,
  };
}

function groupAddresses(addrs: readonly Addr[]): Map<number, ObservedAddress[]> {
  const byIndex = new Map<number, ObservedAddress[]>();
  for (const { ifindex, address, protocol } of addrs) {
    const known = byIndex.get(ifindex);
    if (known) known.push({ address, protocol });
    else byIndex.set(ifindex, [{ address, protocol }]);
  }
  return byIndex;
}

const toObservedLink = (
  link: Link,
  addresses: ObservedAddress[],
  inodeOf: InodeOf,
): ObservedLink => ({
  ifindex: link.index,
  name: link.name,
  kind: link.kind,
  alias: link.alias,
  mtu: link.mtu,
  up: isUp(link),
  peerIfindex: link.link,
  peerInode: link.link === null ? null : inodeOf(link.linkNetnsid),
  addresses,
});

const concernsUs = ({ table, type, flags }: Route): boolean =>
  table === RT_TABLE_MAIN &&
  (type === RTN_UNICAST || type === RTN_BLACKHOLE) &&
  (flags & RTM_F_CLONED) === 0;

const toObservedRoute = ({ to, via, ifindex, protocol, metric, type }: Route): ObservedRoute =>
  type === RTN_BLACKHOLE
    ? { to, via, ifindex: null, protocol, metric, discards: true }
    : { to, via, ifindex, protocol, metric };

function toObservedNetns(
  inode: number,
  reading: Reading,
  sysctls: Record<string, string | null>,
  inodeOf: InodeOf,
): ObservedNetns {
  const addresses = groupAddresses(reading.addrs);
  return {
    inode,
    // A veth whose creation was cut is as good as absent: createVeth clears it away.
    links: reading.links
      .filter((link) => !isUnfinished(link))
      .map((link) => toObservedLink(link, addresses.get(link.index) ?? [], inodeOf)),
    routes: reading.routes.filter(concernsUs).map(toObservedRoute),
    sysctls,
  };
}

async function readSysctls(room: Room, keys: readonly string[]): Promise<ObservedNetns['sysctls']> {
  if (keys.length === 0) return {};
  const values = await room.ns.readSysctls(keys);
  return Object.fromEntries(keys.map((key, i) => [key, values[i] ?? null]));
}

interface Named {
  name: string;
  observed: ObservedNamespace;
  /** What the root calls it; −1: nothing, so no link of the root has its peer there. */
  nsid: number;
  interrupted: boolean;
}

/** Null: the name is not there, or went while we read. */
async function readNamed(
  session: Session,
  name: string,
  root: Room,
  keys: readonly string[],
): Promise<Named | null> {
  const found = inspectName(name);
  if (found.state === 'absent') return null;
  if (found.state === 'unmounted') {
    return { name, observed: { state: 'unmounted' }, nsid: -1, interrupted: false };
  }
  try {
    const room = await session.room(name);
    const [reading, sysctls, nsid, rootNsid] = await Promise.all([
      read(room),
      readSysctls(room, keys),
      root.rtnl.nsid(room.ns.fd),
      room.rtnl.nsid(root.ns.fd),
    ]);
    const inodeOf: InodeOf = (id) =>
      id === null ? room.ns.id : id === rootNsid ? root.ns.id : null;
    const netns = toObservedNetns(room.ns.id, reading, sysctls, inodeOf);
    return {
      name,
      observed: { state: 'mounted', ...netns },
      nsid,
      interrupted: reading.interrupted,
    };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

export function observeFilters(
  filters: FilterEngine,
  names: readonly string[],
  linkOf: (name: string) => Pick<Link, 'index' | 'xdp'> | null | undefined,
  how: 'contents' | 'poll' = 'contents',
): ObservedFilter[] {
  return [...new Set([...names, ...pinnedInterfaces()])].map((name) => {
    const link = linkOf(name);
    const pin = pinInfo(name);
    const xdp = link?.xdp ?? null;
    const ours = pin !== null && pin.ifindex === link?.index && pin.programId === xdp?.programId;
    return {
      interface: name,
      ifindex: link?.index ?? null,
      attached: xdp && {
        programId: xdp.programId,
        tag: programTag(xdp.programId),
        mode: xdp.attached === 'generic' ? 'generic' : 'native',
        ours,
      },
      pin,
      contents: filters[how](name, pin),
    };
  });
}

export async function observe(
  session: Session,
  filters: FilterEngine,
  scope: ObserveScope,
): Promise<ObservedHost> {
  const root = await session.room(null);
  const [reading, named] = await Promise.all([
    read(root),
    mapLimit(scope.namespaces, AT_ONCE, (name) =>
      readNamed(session, name, root, scope.sysctls[name] ?? []),
    ),
  ]);
  const present = named.filter((each) => each !== null);
  const inodes = new Map<number | null, number>([[null, root.ns.id]]);
  for (const { nsid, observed } of present) {
    if (nsid >= 0 && observed.state === 'mounted') inodes.set(nsid, observed.inode);
  }
  const byName = new Map(reading.links.map((link) => [link.name, link]));
  return {
    root: toObservedNetns(root.ns.id, reading, {}, (nsid) => inodes.get(nsid) ?? null),
    namespaces: Object.fromEntries(present.map(({ name, observed }) => [name, observed])),
    filters: observeFilters(filters, scope.filters, (name) => byName.get(name)),
    interrupted: reading.interrupted || present.some((each) => each.interrupted),
  };
}
