/**
 * Whether a lab edge is what its Node says, seen with `ip` and `bpftool` alone: a second opinion
 * that shares no code with what it judges.
 */
import type { LinkSpec, NamespaceSpec, NodeResource } from '../core/model/node';
import type { Lab } from './lab';

interface IpLink {
  ifname: string;
  ifindex: number;
  mtu: number;
  flags: string[];
  xdp?: { mode: number; prog: { id: number; tag: string } };
}

interface IpAddress {
  addr_info: { local: string; prefixlen: number }[];
}

interface IpRoute {
  dst: string;
  gateway?: string;
}

const json = async <T>(lab: Lab, host: string, argv: readonly string[]): Promise<T> => {
  const text = await lab.must(host, argv);
  return JSON.parse(text.trim() === '' ? '[]' : text) as T;
};

const inside = (namespace: string | null): string[] =>
  namespace === null ? ['ip'] : ['ip', '-n', namespace];

async function end(
  lab: Lab,
  host: string,
  namespace: string | null,
  name: string,
  wanted: { mtu: number; addresses: string[] },
): Promise<string[]> {
  const ip = inside(namespace);
  const links = await json<IpLink[]>(lab, host, [...ip, '-j', 'link']);
  const link = links.find(({ ifname }) => ifname === name);
  const where = `${namespace ?? 'host'}/${name}`;
  if (link === undefined) return [`${where} is not there`];
  const shown = await json<IpAddress[]>(lab, host, [...ip, '-j', 'address', 'show', 'dev', name]);
  const present = shown.flatMap(({ addr_info }) =>
    addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
  );
  return [
    ...(link.flags.includes('UP') ? [] : [`${where} is down`]),
    ...(link.mtu === wanted.mtu ? [] : [`${where} has MTU ${link.mtu}, not ${wanted.mtu}`]),
    ...wanted.addresses
      .filter((address) => !present.includes(address))
      .map((address) => `${where} lacks ${address}`),
  ];
}

async function bothEnds(
  lab: Lab,
  host: string,
  namespace: string,
  link: LinkSpec,
): Promise<string[]> {
  const { mtu } = link;
  return [
    ...(await end(lab, host, null, link.name, { mtu, addresses: link.hostAddresses })),
    ...(await end(lab, host, namespace, link.peer, { mtu, addresses: link.addresses })),
  ];
}

async function routes(lab: Lab, host: string, namespace: NamespaceSpec): Promise<string[]> {
  const ip = inside(namespace.name);
  const present = [
    ...(await json<IpRoute[]>(lab, host, [...ip, '-j', '-4', 'route'])),
    ...(await json<IpRoute[]>(lab, host, [...ip, '-j', '-6', 'route'])),
  ].map(({ dst, gateway }) => `${dst} via ${gateway ?? '-'}`);
  return namespace.routes
    .map(({ to, via }) => `${/^(0\.0\.0\.0|::)\/0$/.test(to) ? 'default' : to} via ${via}`)
    .filter((route) => !present.includes(route))
    .map((route) => `${namespace.name} lacks the route ${route}`);
}

/** Dots in a key are slashes below /proc/sys. */
export const sysctlPath = (key: string): string => `/proc/sys/${key.replaceAll('.', '/')}`;

async function sysctls(lab: Lab, host: string, namespace: NamespaceSpec): Promise<string[]> {
  const differing = Object.entries(namespace.sysctls).map(async ([key, value]) => {
    const argv = ['ip', 'netns', 'exec', namespace.name, 'cat', sysctlPath(key)];
    const now = (await lab.must(host, argv)).trim();
    return now === value ? [] : [`${namespace.name}: ${key} is ${now}, not ${value}`];
  });
  return (await Promise.all(differing)).flat();
}

async function filters(lab: Lab, node: NodeResource): Promise<string[]> {
  const host = node.metadata.name;
  const links = await json<IpLink[]>(lab, host, ['ip', '-j', 'link']);
  return node.spec.filters.flatMap(({ interface: name }) => {
    const link = links.find(({ ifname }) => ifname === name);
    return link?.xdp === undefined ? [`${name} has no XDP program`] : [];
  });
}

/** What is not as the Node says; empty where all is well. */
export async function differences(lab: Lab, node: NodeResource): Promise<string[]> {
  const host = node.metadata.name;
  const names = (await lab.must(host, ['ip', 'netns']))
    .split('\n')
    .map((line) => line.split(' ')[0]);
  const found: string[] = [];
  for (const namespace of node.spec.namespaces) {
    if (!names.includes(namespace.name)) {
      found.push(`the namespace ${namespace.name} is not there`);
      continue;
    }
    for (const link of namespace.links) {
      found.push(...(await bothEnds(lab, host, namespace.name, link)));
    }
    found.push(...(await routes(lab, host, namespace)), ...(await sysctls(lab, host, namespace)));
  }
  return [...found, ...(await filters(lab, node))];
}

/** Program id and tag of the XDP program on an interface of a host; null where there is none. */
export async function xdpOn(
  lab: Lab,
  host: string,
  name: string,
): Promise<{ id: number; tag: string } | null> {
  const links = await json<IpLink[]>(lab, host, ['ip', '-j', 'link', 'show', 'dev', name]);
  return links[0]?.xdp?.prog ?? null;
}
