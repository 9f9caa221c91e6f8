/** What is wrong with valid resources taken together. */
import type { BlocklistResource } from './blocklist';
import { checkServices } from './cluster-services';
import { pathText, type ClusterIssue, type Issue } from './issues';
import type { NodeResource } from './node';
import { peersOf } from './peers';
import { formatAddress, isLinkLocal, overlaps, parsePrefix, type Prefix } from './prefix';
import { type AnyResource, wordOf } from './resources';
import { selects } from './selector';

/** Where an address inside a namespace was first met. */
interface Holder {
  node: string;
  path: (string | number)[];
}

const addressesOf = (node: NodeResource): { address: string; path: (string | number)[] }[] =>
  node.spec.namespaces.flatMap((namespace, n) =>
    namespace.links.flatMap((link, l) =>
      link.addresses.flatMap((text, a) => {
        const prefix = parsePrefix(text);
        if (prefix === null || isLinkLocal(prefix)) return [];
        const path = ['spec', 'namespaces', n, 'links', l, 'addresses', a];
        return [{ address: formatAddress(prefix), path }];
      }),
    ),
  );

type Fault = (path: Issue['path'], code: string, message: string, expected: string) => void;

/** Faults of the set are told of the resource that came last into it. */
const faultOf = (issues: ClusterIssue[], index: number, resource: AnyResource): Fault => {
  const node = resource.metadata.name;
  return (path, code, message, expected) => {
    issues.push({ node, index, path, code, message, expected });
  };
};

const checkNames = (resources: readonly AnyResource[], issues: ClusterIssue[]): void => {
  const names = new Set<string>();
  for (const [index, resource] of resources.entries()) {
    const { name } = resource.metadata;
    const key = `${resource.kind}/${name}`;
    if (names.has(key)) {
      const message = `${wordOf(resource.kind)} "${name}" exists`;
      const fault = faultOf(issues, index, resource);
      fault(['metadata', 'name'], 'duplicate', message, 'a name of its own');
    }
    names.add(key);
  }
};

const checkAddresses = (resources: readonly AnyResource[], issues: ClusterIssue[]): void => {
  const holders = new Map<string, Holder>();
  for (const [index, resource] of resources.entries()) {
    if (resource.kind !== 'Node') continue;
    const node = resource.metadata.name;
    for (const { address, path } of addressesOf(resource)) {
      const holder = holders.get(address);
      if (holder === undefined) holders.set(address, { node, path });
      else if (holder.node !== node) {
        const message = `${address} belongs to node "${holder.node}" (${pathText(holder.path)})`;
        const fault = faultOf(issues, index, resource);
        fault(path, 'duplicate', message, 'an address that no other node has');
      }
    }
  }
};

/** A node and its place among the resources. */
interface At {
  node: NodeResource;
  index: number;
}

interface Failsafe extends At {
  prefix: Prefix;
  text: string;
  path: Issue['path'];
}

/**
 * Of all filters of these nodes, and their peers; each prefix once, where it was met first: thousands of nodes have the
 * same few, and each is held against each entry of a list.
 */
const failsafesOf = (nodes: readonly At[]): Failsafe[] => {
  const found = new Map<string, Failsafe>();
  const note = (at: At, text: string, path: Issue['path']): void => {
    const prefix = found.has(text) ? null : parsePrefix(text);
    if (prefix !== null) found.set(text, { prefix, text, ...at, path });
  };
  for (const at of nodes) {
    const { filters } = at.node.spec;
    for (const [f, { failsafe }] of filters.entries()) {
      for (const [i, text] of failsafe.entries()) {
        note(at, text, ['spec', 'filters', f, 'failsafe', i]);
      }
    }
    if (filters.length === 0) continue;
    for (const { prefix, path } of peersOf(at.node.spec)) note(at, prefix, path);
  }
  return [...found.values()];
};

/** The failsafe prefix of a node that `prefix` has a part of, or null. */
export const failsafeHit = (
  prefix: Prefix,
  nodes: readonly NodeResource[],
): { node: string; failsafe: string } | null => {
  const all = failsafesOf(nodes.map((node, index) => ({ node, index })));
  const hit = all.find((failsafe) => overlaps(failsafe.prefix, prefix));
  return hit === undefined ? null : { node: hit.node.metadata.name, failsafe: hit.text };
};

/** Nobody blocks what must never be blocked; not even when the filter would know better. */
const checkFailsafes = (resources: readonly AnyResource[], issues: ClusterIssue[]): void => {
  const nodes = resources.flatMap((node, index) => (node.kind === 'Node' ? [{ node, index }] : []));
  const checkList = (list: BlocklistResource, index: number): void => {
    if (list.spec.entries.length === 0) return;
    const bound = failsafesOf(
      nodes.filter(({ node }) => selects(list.spec.nodes, node.metadata.labels)),
    );
    for (const [i, entry] of list.spec.entries.entries()) {
      const prefix = parsePrefix(entry.prefix);
      const hit = prefix === null ? null : bound.find((each) => overlaps(each.prefix, prefix));
      if (hit) tell(list, index, i, hit);
    }
  };
  const tell = (list: BlocklistResource, index: number, entry: number, hit: Failsafe): void => {
    const blocked = list.spec.entries[entry]?.prefix ?? '';
    const { name } = hit.node.metadata;
    if (index > hit.index) {
      const message = `${blocked} has a part of ${hit.text}, which is failsafe on node "${name}"`;
      const path = ['spec', 'entries', entry];
      const expected = 'prefixes that no node of this list needs';
      faultOf(issues, index, list)(path, 'failsafe', message, expected);
    } else {
      const message = `${hit.text} has a part of ${blocked}, which blocklist "${list.metadata.name}" blocks here`;
      const expected = 'a prefix that is not blocked on this node';
      faultOf(issues, hit.index, hit.node)(hit.path, 'failsafe', message, expected);
    }
  };
  for (const [index, resource] of resources.entries()) {
    if (resource.kind === 'Blocklist') checkList(resource, index);
  }
};

/**
 * What is wrong with valid resources taken together: two of one name, two nodes with one address, a
 * list that blocks what is failsafe on a node of its own, a service that its nodes can't hold. Meant by addresses are those inside
 * namespaces, by which services are reached; the host's ends of the veths and link-local addresses
 * mean something on their host only and may be used again (decision 0010).
 */
export const validateCluster = (resources: readonly AnyResource[]): ClusterIssue[] => {
  const issues: ClusterIssue[] = [];
  checkNames(resources, issues);
  checkAddresses(resources, issues);
  checkFailsafes(resources, issues);
  issues.push(...checkServices(resources));
  return issues;
};
