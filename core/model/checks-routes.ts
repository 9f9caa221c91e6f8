/** Routes of a namespace: each has a destination of its own and a gateway on one of its links. */
import { pathText, type Issue } from './issues';
import { contains, formatAddress, formatPrefix, isNetwork, network, type Prefix } from './prefix';
import type { At, NamespaceView, RouteView } from './view';

type Fault = Omit<Issue, 'path'>;

const destinationFault = (to: Prefix, connected: readonly At<Prefix>[]): Fault | null => {
  const text = formatPrefix(to);
  if (!isNetwork(to)) {
    const expected = formatPrefix(network(to));
    return { code: 'hostBits', message: `${text} has bits set behind its length`, expected };
  }
  const link = connected.find(({ value }) => formatPrefix(network(value)) === text);
  if (link === undefined) return null;
  const message = `${text} is connected already (${pathText(link.path)})`;
  return { code: 'contradiction', message, expected: 'no route: the kernel makes this one' };
};

const gatewayFault = ({ to, via }: RouteView, connected: readonly At<Prefix>[]): Fault | null => {
  if (via === null) return null;
  const text = formatAddress(via.value);
  if (to !== null && to.value.family !== via.value.family) {
    const message = `${text} is IPv${via.value.family}, ${formatPrefix(to.value)} is not`;
    return { code: 'family', message, expected: `an IPv${to.value.family} gateway` };
  }
  const own = connected.find(({ value }) => formatAddress(value) === text);
  if (own !== undefined) {
    const message = `${text} is the namespace's own address (${pathText(own.path)})`;
    return { code: 'gateway', message, expected: 'the address of the other end' };
  }
  if (connected.some(({ value }) => contains(value, via.value))) return null;
  const networks = connected
    .filter(({ value }) => value.family === via.value.family)
    .map(({ value }) => formatPrefix(network(value)));
  const reach = [...new Set(networks)];
  const expected = reach.length > 0 ? `an address inside ${reach.join(' or ')}` : 'a link first';
  return { code: 'gateway', message: `${text} is on no link of this namespace`, expected };
};

export const checkRoutes = ({ links, routes }: NamespaceView): Issue[] => {
  const connected = links.flatMap(({ addresses }) => addresses);
  const seen = new Map<string, At<Prefix>>();
  const issues: Issue[] = [];
  const add = (path: Issue['path'] | undefined, fault: Fault | null): void => {
    if (path !== undefined && fault !== null) issues.push({ path, ...fault });
  };
  for (const route of routes) {
    const { to, via } = route;
    add(via?.path, gatewayFault(route, connected));
    if (to === null) continue;
    add(to.path, destinationFault(to.value, connected));
    const text = formatPrefix(to.value);
    const first = seen.get(text);
    if (first === undefined) seen.set(text, to);
    else {
      const message = `a route to ${text} is at ${pathText(first.path)}`;
      add(to.path, { code: 'duplicate', message, expected: 'one route to a destination' });
    }
  }
  return issues;
};
