/**
 * What is wanted of every node, as etcd says: a picture in memory, kept by a list-watch, from which
 * any controller compiles the same specs.
 *
 * A value that can't be read changes nothing: the last good one stands, and `problems` names it. Who begins
 * after it knows no last good one: nothing is compiled then for nodes that it may concern (decision 0177). So
 * neither a slip by hand nor a newer version's value can unfreeze, empty or remove anything.
 */
import type { KeyValue, WatchItem } from '../../adapters/etcd/port';
import type { BlockValue } from '../../core/model/blocklist';
import { type Bindings, compileEdgeSpec, type Keyed, type Stored } from '../../core/model/compile';
import type { EdgeSpec } from '../../core/model/edge-spec';
import { specHash } from '../../core/model/hash';
import type { BoundService } from '../../core/model/compile-services';
import type { NodeName } from '../../core/model/ids';
import { keys, lastSegment } from '../../core/model/keys';
import type { NodeRouting, Permits, ServiceTraffic } from '../../core/model/routing';
import { type Selector, selects } from '../../core/model/selector';
import type {
  BlocklistValue,
  ClusterValue,
  ControllerValue,
  FeedValue,
  FreezeValue,
  NodeValue,
  OwnerValue,
  Parsed,
  PhaseValue,
  ServiceValue,
  UnboundValue,
} from '../../core/model/values';
import { shardOf } from '../../core/ring/shard';
import type { DesiredNode } from '../../activities/cluster';
import {
  isBelow,
  OF_NODES,
  OF_SERVICES,
  OF_SPECS,
  ofService,
  PARSERS,
  SELECTORS,
  UnreadableKey,
} from './desired-keys';

/** The values a node's spec is compiled from, besides what may be bound to it. */
export interface NodeInputs {
  node: Keyed<NodeValue>;
  phase: Keyed<PhaseValue>;
  override: Keyed<FreezeValue>;
  freeze: Keyed<FreezeValue>;
  routing: Keyed<NodeRouting>;
}

/** What a change concerns: some nodes, or possibly all of them. */
export type Concerned = { nodes: NodeName[] } | 'all';

/** A key's value, read; null where there is none. Throws UnreadableKey. */
export function readKey<T>(entry: KeyValue | null, parse: (text: string) => Parsed<T>): Keyed<T> {
  if (entry === null) return null;
  const parsed = parse(entry.value.toString('utf8'));
  if (!parsed.ok) throw new UnreadableKey(entry.key, parsed.reason);
  return { value: parsed.value, revision: entry.modRevision };
}

/** A node as it shall be. */
export interface CompiledNode extends DesiredNode {
  /** Null while there is no phase or no node, or `unread` is there. */
  spec: EdgeSpec | null;
  hash: string | null;
  /** A key that may concern it, and was never read here; null: there is none. */
  unread: string | null;
}

export const stateOf = (node: Keyed<NodeValue>, phase: Keyed<PhaseValue>): DesiredNode => ({
  nodeRevision: node?.revision ?? null,
  deletionRevision: node?.value.deletionRevision ?? null,
  phase: phase?.value.phase ?? null,
  phaseRevision: phase?.revision ?? 0,
});

/** Compiles once a node has both a value and a phase. */
function compiled(
  { node, phase, ...others }: NodeInputs,
  bindings: Bindings,
  unread: string | null,
): CompiledNode {
  const isKnown = node && phase && unread === null;
  const spec = isKnown ? compileEdgeSpec({ node, phase, ...others, ...bindings }) : null;
  return { ...stateOf(node, phase), spec, hash: spec ? specHash(spec) : null, unread };
}

type Found = NonNullable<Keyed<unknown>>;

export class DesiredState {
  /** By key: what was found there and could not be read. */
  readonly problems = new Map<string, string>();
  /** Those of them that specs are made of, and that were so when this began: what they held before is not known. */
  readonly unread = new Set<string>();
  /** By what PARSERS knows, then by key: what is asked at every event must not cost all that there is. */
  readonly #values = new Map(PARSERS.map(([prefix]) => [prefix, new Map<string, Found>()]));
  readonly #compiled = new Map<NodeName, CompiledNode>();
  /** Made when asked for, dropped when something is bound or let go. */
  #bindings: Bindings | null = null;
  readonly #byShard = new Map<number, NodeName[]>();
  /** Sorted when asked for, dropped when a node comes or goes. */
  #names: readonly NodeName[] | null = null;
  #ready = false;

  /** Whether everything was read at least once. */
  get ready(): boolean {
    return this.#ready;
  }

  get cluster(): Keyed<ClusterValue> {
    return this.#get(keys.cluster);
  }

  get freeze(): Keyed<FreezeValue> {
    return this.#get(keys.freeze);
  }

  /** Who held a shard when last heard; a hint, the claiming transaction decides. */
  owner(shard: number): Keyed<OwnerValue> {
    return this.#get(keys.owner(shard));
  }

  /** Who is registered: has a lease, as far as etcd has told. By id, in order. */
  controllers(): [id: string, ControllerValue][] {
    return this.#below<ControllerValue>(keys.controllers).map(([key, { value }]) => [
      lastSegment(key),
      value,
    ]);
  }

  /** In their order. */
  names(): readonly NodeName[] {
    this.#names ??= [...this.#all(keys.nodes).keys()].map(lastSegment).sort();
    return this.#names;
  }

  get nodeCount(): number {
    return this.#all(keys.nodes).size;
  }

  /** Shards with at least one node, in order. */
  shards(): number[] {
    return [...this.#byShard.keys()].sort((a, b) => a - b);
  }

  inShard(shard: number): readonly NodeName[] {
    return this.#byShard.get(shard) ?? [];
  }

  /** In the order of their names. */
  blocklistNames(): string[] {
    return this.#below<BlocklistValue>(keys.blocklists).map(([key]) => lastSegment(key));
  }

  /** Of those that have a feed. */
  feedNames(): string[] {
    return this.bindings()
      .blocklists.map(({ value }) => value.resource)
      .filter(({ spec }) => spec.feed !== null)
      .map(({ metadata }) => metadata.name);
  }

  blocklist(name: string): Keyed<BlocklistValue> {
    return this.#get(keys.blocklist(name));
  }

  feed(name: string): Keyed<FeedValue> {
    return this.#get(keys.feed(name));
  }

  /** In the order of their names. */
  serviceNames(): string[] {
    return this.#below<ServiceValue>(keys.services).map(([key]) => lastSegment(key));
  }

  /** With the keys that go with them, in the order of their names. */
  services(): BoundService[] {
    return this.#below<ServiceValue>(keys.services).map(([key, service]) => {
      const name = lastSegment(key);
      const traffic = this.#get<ServiceTraffic>(keys.traffic(name));
      return { service, traffic, permits: this.#get<Permits>(keys.permits(name)) };
    });
  }

  service(name: string): Keyed<ServiceValue> {
    return this.#get(keys.service(name));
  }

  /** Names of the services that are bound to a node, until its removal has come that far. */
  servicesOf(node: NodeName): string[] {
    const value = this.inputs(node).node?.value;
    if (value === undefined) return [];
    const { labels } = value.resource.metadata;
    return this.#below<ServiceValue>(keys.services)
      .filter(([, stored]) => selects(stored.value.resource.spec.nodes, labels))
      .map(([key]) => lastSegment(key));
  }

  /** What is commanded of a node, of a service by region, and who may withdraw a service. */
  routing(node: NodeName): Keyed<NodeRouting> {
    return this.#get(keys.routing(node));
  }

  traffic(service: string): Keyed<ServiceTraffic> {
    return this.#get(keys.traffic(service));
  }

  permits(service: string): Keyed<Permits> {
    return this.#get(keys.permits(service));
  }

  blocks(): readonly Stored<BlockValue>[] {
    return this.bindings().blocks;
  }

  /** Everything that may be bound to some node. */
  bindings(): Bindings {
    this.#bindings ??= {
      blocklists: this.#below<BlocklistValue>(keys.blocklists).map(([, stored]) => stored),
      blocks: this.#below<BlockValue>(keys.blocks).map(([, stored]) => stored),
      services: this.services(),
      unbound: this.#below<UnboundValue>(keys.unbounds).map(([, stored]) => stored),
    };
    return this.#bindings;
  }

  /** Nodes with these labels, that are not on their way out. */
  selected(selector: Selector): NodeName[] {
    return this.names().filter((name) => {
      const value = this.#get<NodeValue>(keys.node(name))?.value;
      return value?.deletionRevision === null && selects(selector, value.resource.metadata.labels);
    });
  }

  inputs(node: NodeName): NodeInputs {
    return {
      node: this.#get(keys.node(node)),
      phase: this.#get(keys.phase(node)),
      override: this.#get(keys.override(node)),
      freeze: this.freeze,
      routing: this.#get(keys.routing(node)),
    };
  }

  /** As `of`, without its spec: nothing is compiled for it. */
  stateOf(node: NodeName): DesiredNode {
    return stateOf(this.#get(keys.node(node)), this.#get(keys.phase(node)));
  }

  /** A key that can't be read may be of a node. */
  isDeclared(node: NodeName): boolean {
    return this.stateOf(node).nodeRevision !== null || this.unread.has(keys.node(node));
  }

  of(node: NodeName): CompiledNode {
    const known = this.#compiled.get(node);
    if (known) return known;
    const desired = compiled(this.inputs(node), this.bindings(), this.#unreadOf(node));
    this.#compiled.set(node, desired);
    return desired;
  }

  apply(item: WatchItem): Concerned {
    switch (item.kind) {
      case 'snapshot': {
        const present = new Set(item.entries.map(({ key }) => key));
        for (const known of [...this.#values.values(), this.problems]) {
          for (const key of known.keys()) if (!present.has(key)) this.#delete(key);
        }
        for (const entry of item.entries) this.#put(entry);
        if (!this.#ready) this.#begin();
        return this.#forgetAll();
      }
      case 'put':
        return this.#change(item.entry.key, () => this.#put(item.entry));
      case 'delete':
        return this.#change(item.key, () => this.#delete(item.key));
      case 'synced':
        return { nodes: [] };
    }
  }

  /** What can't be read now was never read here. */
  #begin(): void {
    for (const key of this.problems.keys()) if (isBelow(key, OF_SPECS)) this.unread.add(key);
    this.#ready = true;
  }

  #change(key: string, make: () => void): Concerned {
    const former = this.#get(key);
    const wasUnread = this.unread.has(key);
    make();
    return wasUnread && !this.unread.has(key) ? this.#forgetAll() : this.#forget(key, former);
  }

  #unreadOf(node: NodeName): string | null {
    return [...this.unread].find((key) => this.#mayConcern(key, node)) ?? null;
  }

  /** Of a key that can't be read. Its selector may be what is new about it: it may concern all of them. */
  #mayConcern(key: string, node: NodeName): boolean {
    if (isBelow(key, OF_NODES)) return lastSegment(key) === node;
    return !isBelow(key, OF_SERVICES) || this.servicesOf(node).includes(lastSegment(key));
  }

  #all(prefix: string): Map<string, Found> {
    return this.#values.get(prefix) ?? new Map<string, Found>();
  }

  #get<T>(key: string): Keyed<T> {
    const prefix = PARSERS.find(([each]) => key.startsWith(each))?.[0] ?? '';
    return (this.#all(prefix).get(key) ?? null) as Keyed<T>;
  }

  #put(entry: KeyValue): void {
    const [prefix, parse] = PARSERS.find(([each]) => entry.key.startsWith(each)) ?? [];
    if (prefix === undefined || !parse) return;
    try {
      const read = readKey(entry, parse);
      const below = this.#all(prefix);
      if (prefix === keys.nodes && !below.has(entry.key)) this.#came(lastSegment(entry.key));
      if (read) below.set(entry.key, read);
      this.problems.delete(entry.key);
      this.unread.delete(entry.key);
    } catch (error) {
      this.problems.set(entry.key, (error as Error).message);
    }
  }

  #delete(key: string): void {
    const prefix = PARSERS.find(([each]) => key.startsWith(each))?.[0] ?? '';
    const was = this.#all(prefix).delete(key);
    if (was && prefix === keys.nodes) this.#went(lastSegment(key));
    this.problems.delete(key);
    this.unread.delete(key);
  }

  #came(node: NodeName): void {
    this.#names = null;
    const shard = shardOf(node);
    const there = this.#byShard.get(shard);
    if (there) there.push(node);
    else this.#byShard.set(shard, [node]);
  }

  #went(node: NodeName): void {
    this.#names = null;
    const shard = shardOf(node);
    const left = this.inShard(shard).filter((other) => other !== node);
    if (left.length > 0) this.#byShard.set(shard, left);
    else this.#byShard.delete(shard);
  }

  /** In the order of their keys. */
  #below<T>(prefix: string): [string, Stored<T>][] {
    return [...this.#all(prefix)].sort(([a], [b]) => (a < b ? -1 : 1)) as [string, Stored<T>][];
  }

  #forgetAll(): Concerned {
    this.#compiled.clear();
    this.#bindings = null;
    return 'all';
  }

  /** Drops what was compiled from a key; says which nodes that concerns. */
  #forget(key: string, former: Keyed<unknown>): Concerned {
    if (key === keys.freeze) return this.#forgetAll();
    if (isBelow(key, OF_SERVICES)) return this.#rebind(ofService, [this.service(lastSegment(key))]);
    const selectorOf = SELECTORS.find(([prefix]) => key.startsWith(prefix))?.[1];
    if (selectorOf) return this.#rebind(selectorOf, [former, this.#get(key)]);
    if (!isBelow(key, OF_NODES)) return { nodes: [] };
    const node = lastSegment(key);
    this.#compiled.delete(node);
    return { nodes: [node] };
  }

  /** Something is bound anew, or no more: to those that it selects now, and to those that it did. */
  #rebind(selectorOf: (value: never) => Selector, versions: readonly Keyed<unknown>[]): Concerned {
    this.#bindings = null;
    const selectors = versions.flatMap((stored) =>
      stored === null ? [] : [selectorOf(stored.value as never)],
    );
    const nodes = this.names().filter((name) => {
      const { labels = {} } = this.#get<NodeValue>(keys.node(name))?.value.resource.metadata ?? {};
      return selectors.some((selector) => selects(selector, labels));
    });
    for (const node of nodes) this.#compiled.delete(node);
    return { nodes };
  }
}

/** The spec that goes down to an edge, with its hash; null while there is none. */
export type Wanted = { spec: EdgeSpec; hash: string } | null;

export const wantedOf = ({ spec, hash }: CompiledNode): Wanted =>
  spec !== null && hash !== null ? { spec, hash } : null;
