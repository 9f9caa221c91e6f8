/** How each kind of resource is kept in etcd: what differs between them, as a table. */
import type { EtcdClient } from '../../adapters/etcd/client';
import { type Change, type Condition, unchanged } from '../../adapters/etcd/port';
import type { AnycastServiceResource } from '../../core/model/anycast';
import type { BlocklistResource } from '../../core/model/blocklist';
import type { Keyed, Stored } from '../../core/model/compile';
import { keys } from '../../core/model/keys';
import type { NodeResource } from '../../core/model/node';
import type { AnyResource, Kind } from '../../core/model/resources';
import { type Selector, selectorId } from '../../core/model/selector';
import {
  type BlocklistValue,
  type NodeValue,
  parseBlocklistValue,
  parseFeedValue,
  parseNodeValue,
  type Parsed,
  parseServiceValue,
  type ServiceValue,
  valueText,
} from '../../core/model/values';
import type { Blobs } from './blobs';
import { readKey } from './desired';

export interface KindDependencies {
  etcd: EtcdClient;
  blobs: Blobs;
}

/** Of one transaction. */
export interface Write {
  /** On top of the resource's own key. */
  conditions: Condition[];
  changes: Change[];
}

export interface StoredKind<R extends AnyResource, V extends { resource: R }> {
  /** Of all of them. */
  prefix: string;
  key(name: string): string;
  parse(text: string): Parsed<V>;
  /** It is on its way out: nothing is applied to it. */
  leaving(value: V): boolean;
  /** The selectors that a write of `resource` takes something away from (decision 0023). */
  unbound(resource: R, stored: Keyed<V>): Selector[];
  /** Keys that go with it. */
  belongings(name: string): string[];
  /** What is to be written besides those marks; anything that these name is written before. */
  write(resource: R, stored: Keyed<V>, dependencies: KindDependencies): Promise<Write>;
}

const NODE: StoredKind<NodeResource, NodeValue> = {
  prefix: keys.nodes,
  key: keys.node,
  parse: parseNodeValue,
  leaving: ({ deletionRevision }) => deletionRevision !== null,
  unbound: () => [],
  belongings: () => [],
  write: (resource) => {
    const value = valueText({ resource, deletionRevision: null });
    const put = { op: 'put', key: keys.node(resource.metadata.name), value } as const;
    return Promise.resolve({ conditions: [], changes: [put] });
  },
};

/** The selector that it had before, where it has another one now. */
const unselected = (
  { spec }: BlocklistResource | AnycastServiceResource,
  former: BlocklistResource | AnycastServiceResource | undefined,
): Selector[] => {
  if (former === undefined) return [];
  return selectorId(former.spec.nodes) === selectorId(spec.nodes) ? [] : [former.spec.nodes];
};

const BLOCKLIST: StoredKind<BlocklistResource, BlocklistValue> = {
  prefix: keys.blocklists,
  key: keys.blocklist,
  parse: parseBlocklistValue,
  leaving: () => false,
  unbound: (resource, stored) => unselected(resource, stored?.value.resource),
  belongings: (name) => [keys.feed(name)],
  write: async (resource, stored, { etcd, blobs }) => {
    const { name } = resource.metadata;
    const { entries, feed } = resource.spec;
    const state = readKey(await etcd.get(keys.feed(name)), parseFeedValue);
    const held = feed === null ? null : (state?.value.list ?? null);
    const blob = await blobs.whole(entries, held, [stored?.value.blob ?? null, held]);
    const value = valueText({ resource, blob });
    return {
      // What was joined with the entries is the feed's list still.
      conditions: feed === null && !state ? [] : [unchanged(keys.feed(name), state?.revision ?? 0)],
      changes: [
        { op: 'put', key: keys.blocklist(name), value },
        ...(feed === null && state ? [{ op: 'delete', key: keys.feed(name) } as const] : []),
      ],
    };
  },
};

const SERVICE: StoredKind<AnycastServiceResource, ServiceValue> = {
  prefix: keys.services,
  key: keys.service,
  parse: parseServiceValue,
  leaving: () => false,
  unbound: (resource, stored) => unselected(resource, stored?.value.resource),
  belongings: (name) => [keys.traffic(name), keys.permits(name)],
  write: (resource) => {
    const value = valueText({ resource });
    const put = { op: 'put', key: keys.service(resource.metadata.name), value } as const;
    return Promise.resolve({ conditions: [], changes: [put] });
  },
};

/** A resource as it is in etcd; every kind's value holds it as `resource`. */
export type AnyStored = Stored<{ resource: AnyResource }>;

/** The table, for whoever holds a resource and the value of the same kind. */
export type AnyKind = StoredKind<AnyResource, { resource: AnyResource }>;

export const STORED_KINDS = {
  Node: NODE,
  Blocklist: BLOCKLIST,
  AnycastService: SERVICE,
} as unknown as Readonly<Record<Kind, AnyKind>>;

/** Marks that nodes of these selectors lost something: their specs' revisions must not fall. */
export const unboundMarks = (selectors: readonly Selector[]): Change[] => {
  const distinct = new Map(selectors.map((selector) => [selectorId(selector), selector]));
  return [...distinct].map(([id, nodes]) => ({
    op: 'put',
    key: keys.unbound(id),
    value: valueText({ nodes: nodes === null ? null : { ...nodes } }),
  }));
};
