/** What is wrong with valid services and nodes taken together. */
import type { AnycastServiceResource } from './anycast';
import type { ClusterIssue, Issue } from './issues';
import type { NamespaceSpec, NodeResource } from './node';
import {
  contains,
  formatAddress,
  isLinkLocal,
  parseAddress,
  parsePrefix,
  type Prefix,
} from './prefix';
import type { AnyResource } from './resources';
import { selects } from './selector';
import { hostPrefix, wayTo } from './service-ways';

/** A resource and its place among them all. */
interface Placed<R extends AnyResource> {
  resource: R;
  index: number;
}

type PlacedService = Placed<AnycastServiceResource>;
type PlacedNode = Placed<NodeResource>;

const issueOf = (
  { resource, index }: Placed<AnyResource>,
  path: Issue['path'],
  message: string,
  expected: string,
  code = 'duplicate',
): ClusterIssue => ({ node: resource.metadata.name, index, path, code, message, expected });

/** Of what only one may have, the second and later holders. */
class Holders {
  readonly issues: ClusterIssue[] = [];
  readonly #first = new Map<string, string>();

  /** Whether it was free. */
  note(at: Placed<AnyResource>, text: string, path: Issue['path'], expected: string): boolean {
    const holder = this.#first.get(text);
    const { kind, metadata } = at.resource;
    if (holder === undefined) this.#first.set(text, `${kind} "${metadata.name}"`);
    else this.issues.push(issueOf(at, path, `${text} belongs to ${holder}`, expected));
    return holder === undefined;
  }
}

const ownedOnce = (services: readonly PlacedService[], nodes: readonly PlacedNode[]) => {
  const [prefixes, addresses, routers] = [new Holders(), new Holders(), new Holders()];
  for (const at of services) {
    const { spec } = at.resource;
    const expected = 'a prefix that no other service has';
    const refused = spec.prefixes.filter(
      (prefix, i) => !prefixes.note(at, prefix, ['spec', 'prefixes', i], expected),
    );
    for (const address of spec.addresses) {
      // Once is enough: a /32 or /128 is its address.
      if (refused.includes(hostPrefix(address))) continue;
      addresses.note(at, address, placeOf(spec, address), 'an address that no other service has');
    }
  }
  for (const at of nodes) {
    const id = at.resource.spec.bgp?.routerId;
    const expected = 'a router id that no other node has';
    if (id !== undefined) routers.note(at, id, ['spec', 'bgp', 'routerId'], expected);
  }
  return [...prefixes.issues, ...addresses.issues, ...routers.issues];
};

/** Where a user wrote an address: among the addresses, or as a /32 or /128. */
const placeOf = (
  { prefixes, addresses }: AnycastServiceResource['spec'],
  address: string,
): Issue['path'] => {
  const whole = prefixes.findIndex((prefix) => prefix.startsWith(`${address}/`));
  if (whole >= 0) return ['spec', 'prefixes', whole];
  const implied = addresses.filter((each) =>
    prefixes.some((prefix) => /\/(32|128)$/.test(prefix) && prefix.startsWith(`${each}/`)),
  );
  return ['spec', 'addresses', addresses.indexOf(address) - implied.length];
};

interface Held {
  at: PlacedNode;
  prefix: Prefix;
  path: Issue['path'];
}

const heldBy = (at: PlacedNode): Held[] =>
  at.resource.spec.namespaces.flatMap((namespace, n) =>
    namespace.links.flatMap((link, l) =>
      link.addresses.flatMap((text, a) => {
        const prefix = parsePrefix(text);
        if (prefix === null || isLinkLocal(prefix)) return [];
        return [{ at, prefix, path: ['spec', 'namespaces', n, 'links', l, 'addresses', a] }];
      }),
    ),
  );

/** Held against thousands of nodes: a /32 is looked up, only wider prefixes are tried one by one. */
const holderIn = (held: readonly Held[]): ((text: string) => Held | undefined) => {
  const byAddress = new Map(held.map((each) => [hostPrefix(formatAddress(each.prefix)), each]));
  return (text) => {
    const prefix = parsePrefix(text);
    const wide = !/\/(32|128)$/.test(text) || byAddress.has(text) ? prefix : null;
    return wide === null ? undefined : held.find((each) => contains(wide, each.prefix));
  };
};

/** What is announced from everywhere can't be one node's own: its packets would end elsewhere. */
const ofNodes = (services: readonly PlacedService[], nodes: readonly PlacedNode[]) => {
  if (services.length === 0) return [];
  const holder = holderIn(nodes.flatMap(heldBy));
  return services.flatMap((service) =>
    service.resource.spec.prefixes.flatMap((text, i) => {
      const hit = holder(text);
      if (hit === undefined) return [];
      const address = formatAddress(hit.prefix);
      const [name, node] = [service.resource.metadata.name, hit.at.resource.metadata.name];
      if (service.index > hit.at.index) {
        const message = `${address} of node "${node}" is in ${text}`;
        const expected = 'a prefix in which no node has an address of its own';
        return [issueOf(service, ['spec', 'prefixes', i], message, expected, 'overlap')];
      }
      const message = `${address} is in ${text} of service "${name}"`;
      return [issueOf(hit.at, hit.path, message, 'an address outside of it', 'overlap')];
    }),
  );
};

/** Whether the host has a way to addresses of that family; asked by many services of each namespace. */
const ways = () => {
  const known = new Map<NamespaceSpec, Map<string, boolean>>();
  return (namespace: NamespaceSpec, address: string): boolean => {
    const families = known.get(namespace) ?? new Map<string, boolean>();
    known.set(namespace, families);
    const family = address.includes(':') ? '6' : '4';
    const has = families.get(family) ?? wayTo(namespace, address) !== null;
    families.set(family, has);
    return has;
  };
};

/** Why a service can't live on a node; null: it can. */
const obstacle = (
  { spec }: AnycastServiceResource,
  node: NodeResource,
  hasWay: ReturnType<typeof ways>,
): string | null => {
  const namespace = node.spec.namespaces.find(({ name }) => name === spec.namespace);
  if (namespace === undefined) return `has no namespace ${spec.namespace}`;
  const lost = spec.addresses.find((address) => !hasWay(namespace, address));
  if (lost === undefined) return null;
  const family = `IPv${parseAddress(lost)?.family ?? 4}`;
  return `has no link with ${family} at both ends in ${spec.namespace}, by which ${lost} could be reached`;
};

const ofSelectors = (services: readonly PlacedService[], nodes: readonly PlacedNode[]) => {
  const hasWay = ways();
  return services.flatMap((service) => {
    const { name } = service.resource.metadata;
    const selected = nodes.filter(({ resource }) =>
      selects(service.resource.spec.nodes, resource.metadata.labels),
    );
    return selected.flatMap((node) => {
      const why = obstacle(service.resource, node.resource, hasWay);
      if (why === null) return [];
      if (service.index > node.index) {
        const message = `node "${node.resource.metadata.name}" is selected and ${why}`;
        const expected = 'a namespace of every selected node, with a way to each address';
        return [issueOf(service, ['spec', 'namespace'], message, expected, 'contradiction')];
      }
      const message = `service "${name}" selects this node, which ${why}`;
      const expected = `namespace ${service.resource.spec.namespace}, with a link`;
      return [issueOf(node, ['spec', 'namespaces'], message, expected, 'contradiction')];
    });
  });
};

export const checkServices = (resources: readonly AnyResource[]): ClusterIssue[] => {
  const services: PlacedService[] = [];
  const nodes: PlacedNode[] = [];
  for (const [index, resource] of resources.entries()) {
    if (resource.kind === 'AnycastService') services.push({ resource, index });
    if (resource.kind === 'Node') nodes.push({ resource, index });
  }
  return [
    ...ownedOnce(services, nodes),
    ...ofNodes(services, nodes),
    ...ofSelectors(services, nodes),
  ];
};

/**
 * What is allowed and may still be a slip, given the nodes that a service would be bound to: told when
 * it is planned, since nodes come and go after it.
 */
export const serviceNotes = (
  { spec }: AnycastServiceResource,
  selected: readonly NodeResource[],
): string[] => {
  const present = new Set(selected.map(({ metadata }) => metadata.region));
  const absent = spec.regions.filter(({ name }) => !present.has(name)).map(({ name }) => name);
  const silent = selected.filter(({ spec: { bgp } }) => (bgp?.neighbors.length ?? 0) === 0);
  const few = selected.length < spec.minAnnouncers;
  const nodes = selected.length === 1 ? 'node is' : 'nodes are';
  return [
    ...(few
      ? [`${selected.length} ${nodes} selected: a floor of ${spec.minAnnouncers} can't hold`]
      : []),
    ...(absent.length > 0 ? [`no selected node is in ${absent.join(', ')}`] : []),
    ...(silent.length > 0 ? [`no BGP neighbor, so nothing is announced: ${names(silent)}`] : []),
  ];
};

const names = (nodes: readonly NodeResource[]): string =>
  nodes.map(({ metadata }) => metadata.name).join(', ');
