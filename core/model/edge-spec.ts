/** What one edge shall be: the only thing that goes down the edge stream (design §3). */
import type { EdgeService } from './anycast';
import type { BfdPeerSpec, BgpSpec } from './bgp';
import type { BlobRef } from './blocklist';
import type { NodeName } from './ids';
import type { FilterSpec, NamespaceSpec, RepairPolicy, RuleMode } from './node';

/** A Blocklist as its edges get it: what it is, not what it holds. */
export interface EdgeBlocklist {
  name: string;
  mode: RuleMode;
  blob: BlobRef;
}

export interface EdgeBlock {
  prefix: string;
  reason: string;
  /** Epoch ms; null = no end. The edge lets it go by itself. */
  untilMs: number | null;
}

/** Granted by `nodeLifecycle` alone. */
export const PHASES = [
  'onboarding',
  'active',
  'draining',
  'quarantined',
  'decommissioning',
] as const;
export type Phase = (typeof PHASES)[number];

/**
 * `revision` is the highest etcd mod revision of the keys it was compiled from, so any controller
 * compiles the same; it is carried, but not hashed: equal content has an equal hash.
 * In phase `decommissioning` all that it asks for is empty: reconciling towards it removes all.
 */
export interface EdgeSpec {
  schema: 1;
  node: NodeName;
  revision: number;
  phase: Phase;
  namespaces: NamespaceSpec[];
  filters: FilterSpec[];
  /** Lists bound to this node, for all its filters. */
  blocklists: EdgeBlocklist[];
  /** Prefixes blocked by hand that concern this node. */
  blocks: EdgeBlock[];
  bgp: BgpSpec | null;
  bfdPeers: BfdPeerSpec[];
  /** Services bound to this node, in the order of their names. */
  services: EdgeService[];
  repair: RepairPolicy;
  frozen: { node: boolean; global: boolean };
}

/** Fence of what a controller sends down its stream and writes to etcd (design §3, fence a). */
export interface OwnerFence {
  /** Raised only by an explicit, audited restore. */
  clusterIncarnation: number;
  shard: number;
  /** Create revision of the ownership key of the shard. */
  ownerRevision: number;
}

/** Fence of an activity on `edge/<node>` (design §3, fence b). */
export interface ActivityFence {
  workflowId: string;
  runId: string;
  /** Spec revision the decision was taken against; the edge refuses one below the accepted. */
  revision: number;
  /** Hash of the plan that was decided; null where the activity carries no plan of its own. */
  planHash: string | null;
}
