/** Links, addresses and routes of a topology, made by `ip -batch`: one run for each host. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { contains, parseAddress, parsePrefix } from '../core/model/prefix';
import { inHost } from './host';
import type { ProcessIdentity } from './identity';
import { mustRun } from './run';
import { ROOT } from './tools';
import { BRIDGE, UPLINK } from './topology';
import type { HostRoute, LinkEnd, Topology } from './topology';

const PASS_OBJECT = join(ROOT, 'bpf/build/xdp_pass.bpf.o');

export type Holders = ReadonlyMap<string, ProcessIdentity>;

function holderOf(holders: Holders, host: string): ProcessIdentity {
  const holder = holders.get(host);
  if (holder === undefined) throw new Error(`The topology names a host that it lacks: ${host}`);
  return holder;
}

/** Both ends are created right in their hosts, so that no link ever shows outside. */
function createLinks(topology: Topology, holders: Holders): string[] {
  return topology.links.map(({ ends: [a, b] }) => {
    const [pidA, pidB] = [holderOf(holders, a.host).pid, holderOf(holders, b.host).pid];
    return `link add ${a.name} netns ${pidA} type veth peer name ${b.name} netns ${pidB}`;
  });
}

function configureEnd(end: LinkEnd): string[] {
  return [
    ...(end.bridged ? [`link set ${end.name} master ${BRIDGE}`] : []),
    ...end.addresses.map((address) => `address add ${address} dev ${end.name}`),
    `link set ${end.name} up`,
  ];
}

/** What an interface that was down may have lost: the kernel drops its routes and IPv6 addresses. */
export function restoreEnd(end: LinkEnd, routes: readonly HostRoute[]): string[] {
  return [
    `link set ${end.name} up`,
    ...end.addresses.map((address) => `address replace ${address} dev ${end.name}`),
    ...routes.filter(({ host, via }) => host === end.host && isThrough(end, via)).map(addRoute),
  ];
}

function isThrough({ addresses }: LinkEnd, via: string): boolean {
  const gateway = parseAddress(via);
  return addresses.some((text) => {
    const network = parsePrefix(text);
    return gateway !== null && network !== null && contains(network, gateway);
  });
}

const addRoute = ({ to, via }: HostRoute): string => `route replace ${masked(to)} via ${via}`;

/**
 * What an edge's filter sends back by itself (answers of Seamless BFD) is taken at the other end of a veth only where an
 * XDP program is: at the router's end one that lets all pass. It goes with its link.
 */
const passes = (topology: Topology, host: string): string[] =>
  topology.links
    .filter(({ ends }) => ends.some(({ name }) => name === UPLINK))
    .flatMap(({ ends }) => ends.filter((end) => end.host === host && end.name !== UPLINK))
    .map(({ name }) => `link set ${name} xdpdrv obj ${PASS_OBJECT} sec xdp`);

function configureHost(topology: Topology, host: string): string[] {
  const ends = topology.links.flatMap((link) => link.ends).filter((end) => end.host === host);
  return [
    ...ends.flatMap(configureEnd),
    ...passes(topology, host),
    ...topology.routes.filter((route) => route.host === host).map(addRoute),
  ];
}

/** An IPv4 route with host bits is refused by the kernel; those of IPv6 it clears itself. */
function masked(cidr: string): string {
  const [address = '', length = ''] = cidr.split('/');
  if (address.includes(':')) return cidr;
  const bits = address.split('.').reduce((all, part) => all * 256 + Number(part), 0);
  const size = 2 ** (32 - Number(length));
  const network = bits - (bits % size);
  return `${[24, 16, 8, 0].map((shift) => Math.floor(network / 2 ** shift) % 256).join('.')}/${length}`;
}

const batch = (holder: ProcessIdentity, lines: string[]): Promise<string> =>
  mustRun(inHost(holder, ['ip', '-batch', '-']), { input: `${lines.join('\n')}\n` });

export async function wire(topology: Topology, holders: Holders): Promise<void> {
  // What iproute2 says of a file that is not there is about ELF.
  if (!existsSync(PASS_OBJECT)) throw new Error(`${PASS_OBJECT} is missing: make setup`);
  const fabric = holderOf(holders, 'fabric');
  await batch(fabric, [
    `link add ${BRIDGE} type bridge`,
    `link set ${BRIDGE} up`,
    ...createLinks(topology, holders),
  ]);
  await Promise.all(
    topology.hosts.map((host) =>
      batch(holderOf(holders, host.name), configureHost(topology, host.name)),
    ),
  );
}
