/** From what etcd holds to what one edge shall be. Any controller compiles the same. */
import type { EdgeSpec, Phase } from './edge-spec';
import type { FreezeValue, NodeValue, PhaseValue } from './values';

/** A key's value and its mod revision; null where the key does not exist. */
export type Keyed<T> = { value: T; revision: number } | null;

export interface CompileInput {
  node: NonNullable<Keyed<NodeValue>>;
  phase: NonNullable<Keyed<PhaseValue>>;
  /** `overrides/<id>`. */
  override: Keyed<FreezeValue>;
  /** `freeze`. */
  freeze: Keyed<FreezeValue>;
}

/** A node that is leaving shall have nothing: reconciling towards nothing removes all. */
const leaves = (phase: Phase): boolean => phase === 'decommissioning';

export const compileEdgeSpec = ({ node, phase, override, freeze }: CompileInput): EdgeSpec => {
  const { metadata, spec } = node.value.resource;
  const empty = leaves(phase.value.phase);
  return {
    schema: 1,
    node: metadata.name,
    revision: Math.max(...[node, phase, override, freeze].map((key) => key?.revision ?? 0)),
    phase: phase.value.phase,
    namespaces: empty ? [] : spec.namespaces,
    filters: empty ? [] : spec.filters,
    blocklists: [],
    blocks: [],
    repair: spec.repair,
    frozen: { node: override?.value.frozen ?? false, global: freeze?.value.frozen ?? false },
  };
};
