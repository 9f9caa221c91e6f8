/** What the admin API answers and the CLI prints (`--json` prints these as they are). */
import type { Phase } from './edge-spec';
import type { NodeName } from './ids';
import type { EdgeStatus, LifecycleState } from './messages';
import type { NodeResource } from './node';

export interface NodeView {
  name: NodeName;
  region: string;
  labels: Record<string, string>;
  phase: Phase | null;
  /** etcd mod revision of the node's key. */
  revision: number;
  deletionRevision: number | null;
  shard: number;
  connected: boolean;
  /** accepted hash = applied hash = desired hash, no finding. */
  converged: boolean;
  findings: number;
  frozen: boolean;
  lastIncident: string | null;
  /** One line: why it is not converged, or when it was last repaired. */
  note: string | null;
}

export interface NodeDescription {
  view: NodeView;
  resource: NodeResource;
  lifecycle: LifecycleState | null;
  edge: EdgeStatus | null;
  workflows: { id: string; runId: string; type: string; status: string; startedAtMs: number }[];
}

/** `explain`: desired, observed, difference, last decision, next timer. */
export interface NodeExplanation {
  view: NodeView;
  desired: { revision: number; hash: string; summary: string[] };
  observed: { acceptedRevision: number | null; appliedHash: string | null; atMs: number } | null;
  difference: string[];
  /** Why it is not repaired right now; null where nothing is to be done. */
  whyNot: string | null;
  lastDecision: string | null;
  nextTimer: string | null;
  lastRepair: string | null;
}

export interface ClusterStatus {
  controller: string;
  version: string;
  clusterIncarnation: number;
  shardsOwned: number;
  nodes: { total: number; connected: number; converged: number };
  etcd: { ok: boolean; endpoints: string[] };
  temporal: { ok: boolean; address: string; namespace: string; uiUrl: string | null };
  frozen: boolean;
}
