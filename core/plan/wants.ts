/** What a spec asks for, prepared once: a spec lives long, and hosts are looked at often. */
import type { EdgeSpec } from '../model/edge-spec';
import { linkAlias, MARK } from '../model/ids';
import type { LinkSpec, NamespaceSpec } from '../model/node';

export interface WantedLink {
  namespace: NamespaceSpec;
  link: LinkSpec;
  aliases: { host: string; peer: string };
  /** Number of its host end; its peer's is the next. */
  slot: number;
}

export interface Wants {
  /** With what every alias of this node's begins. */
  prefix: string;
  links: ReadonlyMap<NamespaceSpec, WantedLink[]>;
  /** The number of each end, by its alias. */
  slots: ReadonlyMap<string, number>;
}

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
  return { prefix: `${MARK.aliasPrefix}${spec.node}/`, links, slots };
};

const prepared = new WeakMap<EdgeSpec, Wants>();

export const wantsOf = (spec: EdgeSpec): Wants => {
  const known = prepared.get(spec) ?? prepare(spec);
  prepared.set(spec, known);
  return known;
};
