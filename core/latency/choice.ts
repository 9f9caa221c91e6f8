/** Which flows are tracked, and where: what the tracker is to do for an accepted spec. */
import type { EdgeSpec } from '../model/edge-spec';
import type { FilterSpec } from '../model/node';

/** LATENCY_ON of bpf/include/latency.h. */
const ON = 1n << 32n;
const HASHES = 2 ** 32;

/**
 * `filter_config.track`: 0 = of no flow; else the switch, and the greatest hash that is chosen. The
 * kernel hashes each flow to 32 bits, so all packets of a flow are chosen, or none.
 */
export const trackWord = (latency: FilterSpec['latency']): bigint =>
  latency === null ? 0n : ON | BigInt(Math.floor(HASHES / latency.oneFlowIn) - 1);

export interface LatencyWish {
  /** Interfaces with a tracking filter: what they let pass is timed to where it leaves; sorted. */
  ingress: string[];
  /** Interfaces of the host where forwarded packets may leave; sorted. */
  egress: string[];
  /** Names of the namespaces whose TCP readers count, beside the host's own; sorted. */
  namespaces: string[];
  /** Of TCP flows: the densest that a filter asks for. */
  oneFlowIn: number;
}

/** Null where no filter asks for it. Nothing that the spec does not name is touched. */
export function latencyWish(spec: Pick<EdgeSpec, 'filters' | 'namespaces'>): LatencyWish | null {
  const tracking = spec.filters.flatMap((filter) =>
    filter.latency === null ? [] : [{ name: filter.interface, ...filter.latency }],
  );
  if (tracking.length === 0) return null;
  const links = spec.namespaces.flatMap((namespace) => namespace.links.map(({ name }) => name));
  const filtered = spec.filters.map((filter) => filter.interface);
  return {
    ingress: tracking.map(({ name }) => name).sort(),
    egress: [...new Set([...filtered, ...links])].sort(),
    namespaces: spec.namespaces.map(({ name }) => name).sort(),
    oneFlowIn: Math.min(...tracking.map(({ oneFlowIn }) => oneFlowIn)),
  };
}
