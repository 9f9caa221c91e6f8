/** From what etcd holds to what one edge shall be. Any controller compiles the same. */
import type { BlockValue } from './blocklist';
import { type BoundService, servicesOf } from './compile-services';
import type { EdgeBlock, EdgeBlocklist, EdgeSpec, Phase } from './edge-spec';
import type { NodeRouting } from './routing';
import { selects } from './selector';
import type { BlocklistValue, FreezeValue, NodeValue, PhaseValue, UnboundValue } from './values';

/** A key's value and its mod revision. */
export interface Stored<T> {
  value: T;
  revision: number;
}

/** Null where the key does not exist. */
export type Keyed<T> = Stored<T> | null;

/** What may be bound to a node; that of other nodes is left aside here. */
export interface Bindings {
  blocklists: readonly Stored<BlocklistValue>[];
  blocks: readonly Stored<BlockValue>[];
  services: readonly BoundService[];
  /** `unbound/<id>`: so that the revision never falls when something goes (decision 0023). */
  unbound: readonly Stored<UnboundValue>[];
}

export interface CompileInput extends Bindings {
  node: Stored<NodeValue>;
  phase: Stored<PhaseValue>;
  /** `overrides/<id>`. */
  override: Keyed<FreezeValue>;
  /** `freeze`. */
  freeze: Keyed<FreezeValue>;
  /** `routing/<id>`. */
  routing: Keyed<NodeRouting>;
}

export const NO_BINDINGS: Bindings = {
  blocklists: [],
  blocks: [],
  services: [],
  unbound: [],
};

/** A node that is leaving shall have nothing: reconciling towards nothing removes all. */
const leaves = (phase: Phase): boolean => phase === 'decommissioning';

const blocklistsOf = (stored: readonly Stored<BlocklistValue>[]): EdgeBlocklist[] =>
  stored
    .flatMap(({ value: { resource, blob } }) =>
      blob === null ? [] : [{ name: resource.metadata.name, mode: resource.spec.mode, blob }],
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1));

/** Entries with an end: the edge lets each go by itself, without anybody's word. */
const temporary = ({ value }: Stored<BlocklistValue>): EdgeBlock[] =>
  value.resource.spec.entries.flatMap(({ prefix, reason, expiresAtMs }) =>
    expiresAtMs === null ? [] : [{ prefix, reason, untilMs: expiresAtMs }],
  );

const lastsLonger = (a: EdgeBlock, b: EdgeBlock): boolean =>
  (a.untilMs ?? Infinity) > (b.untilMs ?? Infinity);

/** One for each prefix: the one that ends last, and of those that end together the first by reason. */
const blocksOf = ({ blocklists, blocks }: Bindings): EdgeBlock[] => {
  const byPrefix = new Map<string, EdgeBlock>();
  const all = [
    ...blocks.map(({ value: { prefix, reason, untilMs } }) => ({ prefix, reason, untilMs })),
    ...blocklists.flatMap(temporary),
  ].sort((a, b) => (a.reason < b.reason ? -1 : 1));
  for (const block of all) {
    const present = byPrefix.get(block.prefix);
    if (present === undefined || lastsLonger(block, present)) byPrefix.set(block.prefix, block);
  }
  return [...byPrefix.values()].sort((a, b) => (a.prefix < b.prefix ? -1 : 1));
};

export const compileEdgeSpec = (input: CompileInput): EdgeSpec => {
  const { node, phase, override, freeze, routing } = input;
  const { metadata, spec } = node.value.resource;
  const bound: Bindings = {
    blocklists: input.blocklists.filter(({ value }) =>
      selects(value.resource.spec.nodes, metadata.labels),
    ),
    blocks: input.blocks.filter(({ value }) => selects(value.nodes, metadata.labels)),
    services: input.services.filter(({ service }) =>
      selects(service.value.resource.spec.nodes, metadata.labels),
    ),
    unbound: input.unbound.filter(({ value }) => selects(value.nodes, metadata.labels)),
  };
  const { blocklists, blocks, services, unbound } = bound;
  const ofServices = services.flatMap(({ service, traffic, permits }) => [
    service,
    traffic,
    permits,
  ]);
  const ofNode = [node, phase, override, freeze, routing];
  const keys = [...ofNode, ...blocklists, ...blocks, ...ofServices, ...unbound];
  const empty = leaves(phase.value.phase);
  return {
    schema: 1,
    node: metadata.name,
    revision: keys.reduce((highest, key) => Math.max(highest, key?.revision ?? 0), 0),
    phase: phase.value.phase,
    namespaces: empty ? [] : spec.namespaces,
    filters: empty ? [] : spec.filters,
    blocklists: empty ? [] : blocklistsOf(bound.blocklists),
    blocks: empty ? [] : blocksOf(bound),
    bgp: empty ? null : spec.bgp,
    bfdPeers: empty ? [] : spec.bfdPeers,
    services: empty
      ? []
      : servicesOf(bound.services, { metadata, phase: phase.value.phase, routing }),
    repair: spec.repair,
    frozen: { node: override?.value.frozen ?? false, global: freeze?.value.frozen ?? false },
  };
};
