/** What a spec asks for, prepared once: a spec lives long, and hosts are looked at often. */
import type { EdgeSpec } from '../model/edge-spec';
import { linkAlias, MARK } from '../model/ids';
import type { LinkSpec, NamespaceSpec } from '../model/node';
import { hostPrefix, type Way, wayTo } from '../model/service-ways';

export interface WantedLink {
  namespace: NamespaceSpec;
  link: LinkSpec;
  aliases: { host: string; peer: string };
  /** Number of its host end; its peer's is the next. */
  slot: number;
}

/** An address of a service: held on `lo` of its namespace, and reached by a route of the host. */
export interface WantedAddress {
  namespace: NamespaceSpec;
  /** With its length, /32 or /128. */
  prefix: string;
  /** Null where no link of the namespace leads there. */
  way: Way | null;
}

export interface Wants {
  /** With what every alias of this node's begins. */
  prefix: string;
  links: ReadonlyMap<NamespaceSpec, WantedLink[]>;
  /** The number of each end, by its alias. */
  slots: ReadonlyMap<string, number>;
  /** Of all services, each once. */
  services: WantedAddress[];
  /** What `lo` of a namespace shall have, by its name; nothing is wanted of those that are absent. */
  loopbacks: ReadonlyMap<string, string[]>;
  /** Prefixes of services that have more addresses than are served. */
  discards: string[];
}

const wantedAddresses = ({ namespaces, services }: EdgeSpec): WantedAddress[] => {
  const found = new Map<string, WantedAddress>();
  for (const { namespace: name, addresses } of services) {
    const namespace = namespaces.find((each) => each.name === name);
    if (namespace === undefined) continue;
    for (const address of addresses) {
      const prefix = hostPrefix(address);
      if (!found.has(prefix))
        found.set(prefix, { namespace, prefix, way: wayTo(namespace, address) });
    }
  }
  return [...found.values()];
};

const isWider = (prefix: string): boolean =>
  !prefix.endsWith(prefix.includes(':') ? '/128' : '/32');

const prepare = (spec: EdgeSpec): Wants => {
  const slots = new Map<string, number>();
  const wantedLink = (namespace: NamespaceSpec, link: LinkSpec): WantedLink => {
    const slot = slots.size;
    const host = linkAlias(spec.node, namespace.name, link.name, 'host');
    const peer = linkAlias(spec.node, namespace.name, link.name, 'peer');
    slots.set(host, slot).set(peer, slot + 1);
    return { namespace, link, aliases: { host, peer }, slot };
  };
  const links = new Map(
    spec.namespaces.map((ns) => [ns, ns.links.map((link) => wantedLink(ns, link))]),
  );
  const services = wantedAddresses(spec);
  const discards = [...new Set(spec.services.flatMap(({ prefixes }) => prefixes).filter(isWider))];
  const loopbacks = new Map<string, string[]>();
  for (const { namespace, prefix } of services) {
    loopbacks.set(namespace.name, [...(loopbacks.get(namespace.name) ?? []), prefix]);
  }
  return {
    prefix: `${MARK.aliasPrefix}${spec.node}/`,
    links,
    slots,
    services,
    loopbacks,
    discards,
  };
};

const prepared = new WeakMap<EdgeSpec, Wants>();

export const wantsOf = (spec: EdgeSpec): Wants => {
  const known = prepared.get(spec) ?? prepare(spec);
  prepared.set(spec, known);
  return known;
};
