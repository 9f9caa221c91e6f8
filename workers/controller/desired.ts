/**
 * What is wanted of every node, as etcd says: a picture in memory, kept by a list-watch, from which
 * any controller compiles the same specs.
 *
 * A value that can't be read changes nothing: the last good one stands, and `problems` names it. So
 * neither a slip by hand nor a newer version's value can unfreeze, empty or remove anything.
 */
import type { KeyValue, WatchItem } from '../../adapters/etcd/port';
import { compileEdgeSpec, type Keyed } from '../../core/model/compile';
import type { EdgeSpec } from '../../core/model/edge-spec';
import { specHash } from '../../core/model/hash';
import type { NodeName } from '../../core/model/ids';
import { keys, lastSegment } from '../../core/model/keys';
import {
  type ClusterValue,
  type FreezeValue,
  type NodeValue,
  type OwnerValue,
  type Parsed,
  parseClusterValue,
  parseFreezeValue,
  parseNodeValue,
  parseOwnerValue,
  parsePhaseValue,
  type PhaseValue,
} from '../../core/model/values';
import { shardOf } from '../../core/ring/shard';
import type { DesiredNode } from '../../activities/cluster';

/** The values a node's spec is compiled from. */
export interface NodeInputs {
  node: Keyed<NodeValue>;
  phase: Keyed<PhaseValue>;
  override: Keyed<FreezeValue>;
  freeze: Keyed<FreezeValue>;
}

/** What a change concerns: some nodes, or possibly all of them. */
export type Concerned = { nodes: NodeName[] } | 'all';

/** A value in etcd of another version, or a slip by hand. */
export class UnreadableKey extends Error {
  override readonly name = 'UnreadableKey';
}

/** A key's value, read; null where there is none. Throws UnreadableKey. */
export function readKey<T>(entry: KeyValue | null, parse: (text: string) => Parsed<T>): Keyed<T> {
  if (entry === null) return null;
  const parsed = parse(entry.value.toString('utf8'));
  if (!parsed.ok) {
    throw new UnreadableKey(`The key ${entry.key} in etcd can't be read: ${parsed.reason}`);
  }
  return { value: parsed.value, revision: entry.modRevision };
}

/** Compiles once a node has both a value and a phase. */
export function desiredOf({ node, phase, override, freeze }: NodeInputs): DesiredNode {
  const spec = node && phase ? compileEdgeSpec({ node, phase, override, freeze }) : null;
  return {
    nodeRevision: node?.revision ?? null,
    deletionRevision: node?.value.deletionRevision ?? null,
    phase: phase?.value.phase ?? null,
    phaseRevision: phase?.revision ?? 0,
    spec,
    hash: spec ? specHash(spec) : null,
  };
}

/** How to read what lies below a prefix; other keys are none of our business. */
const PARSERS: readonly [string, (text: string) => Parsed<unknown>][] = [
  [keys.nodes, parseNodeValue],
  [keys.phases, parsePhaseValue],
  [keys.overrides, parseFreezeValue],
  [keys.freeze, parseFreezeValue],
  [keys.cluster, parseClusterValue],
  [keys.owners, parseOwnerValue],
];

export class DesiredState {
  /** By key: what was found there and could not be read. */
  readonly problems = new Map<string, string>();
  readonly #values = new Map<string, NonNullable<Keyed<unknown>>>();
  readonly #compiled = new Map<NodeName, DesiredNode>();
  /** Made when asked for, dropped when a node comes or goes. */
  #byShard: ReadonlyMap<number, NodeName[]> | null = null;
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

  names(): NodeName[] {
    return [...this.#nodesByShard().values()].flat().sort();
  }

  /** Shards with at least one node, in order. */
  shards(): number[] {
    return [...this.#nodesByShard().keys()].sort((a, b) => a - b);
  }

  inShard(shard: number): readonly NodeName[] {
    return this.#nodesByShard().get(shard) ?? [];
  }

  inputs(node: NodeName): NodeInputs {
    return {
      node: this.#get(keys.node(node)),
      phase: this.#get(keys.phase(node)),
      override: this.#get(keys.override(node)),
      freeze: this.freeze,
    };
  }

  of(node: NodeName): DesiredNode {
    let desired = this.#compiled.get(node);
    if (!desired) {
      desired = desiredOf(this.inputs(node));
      this.#compiled.set(node, desired);
    }
    return desired;
  }

  apply(item: WatchItem): Concerned {
    switch (item.kind) {
      case 'snapshot': {
        const present = new Set(item.entries.map(({ key }) => key));
        for (const key of this.#values.keys()) if (!present.has(key)) this.#delete(key);
        for (const entry of item.entries) this.#put(entry);
        this.#compiled.clear();
        this.#ready = true;
        return 'all';
      }
      case 'put':
        this.#put(item.entry);
        return this.#forget(item.entry.key);
      case 'delete':
        this.#delete(item.key);
        return this.#forget(item.key);
      case 'synced':
        return { nodes: [] };
    }
  }

  #nodesByShard(): ReadonlyMap<number, NodeName[]> {
    if (this.#byShard) return this.#byShard;
    const byShard = new Map<number, NodeName[]>();
    for (const key of this.#values.keys()) {
      if (!key.startsWith(keys.nodes)) continue;
      const node = lastSegment(key);
      const shard = shardOf(node);
      byShard.set(shard, [...(byShard.get(shard) ?? []), node]);
    }
    this.#byShard = byShard;
    return byShard;
  }

  #get<T>(key: string): Keyed<T> {
    return (this.#values.get(key) ?? null) as Keyed<T>;
  }

  #put(entry: KeyValue): void {
    const parse = PARSERS.find(([prefix]) => entry.key.startsWith(prefix))?.[1];
    if (!parse) return;
    try {
      const read = readKey(entry, parse);
      if (!this.#values.has(entry.key)) this.#byShard = null;
      if (read) this.#values.set(entry.key, read);
      this.problems.delete(entry.key);
    } catch (error) {
      this.problems.set(entry.key, (error as Error).message);
    }
  }

  #delete(key: string): void {
    this.#values.delete(key);
    this.#byShard = null;
    this.problems.delete(key);
  }

  /** Drops what was compiled from a key; says which nodes that concerns. */
  #forget(key: string): Concerned {
    if (key === keys.freeze) {
      this.#compiled.clear();
      return 'all';
    }
    if (![keys.nodes, keys.phases, keys.overrides].some((prefix) => key.startsWith(prefix))) {
      return { nodes: [] };
    }
    const node = lastSegment(key);
    this.#compiled.delete(node);
    return { nodes: [node] };
  }
}

/** The spec that goes down to an edge, with its hash; null while there is none. */
export type Wanted = { spec: EdgeSpec; hash: string } | null;

export const wantedOf = ({ spec, hash }: DesiredNode): Wanted =>
  spec !== null && hash !== null ? { spec, hash } : null;
