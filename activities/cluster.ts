/**
 * Verbs on the cluster's state, run by the controller that owns the node's shard, on
 * `ctl/shard-NNN`. Every write is fenced by the ownership key (design §3, fence a).
 */
import type { EdgeSpec, Phase } from '../core/model/edge-spec';
import type { NodeName } from '../core/model/ids';

export interface DesiredNode {
  /** Null: there is no such node. */
  nodeRevision: number | null;
  deletionRevision: number | null;
  phase: Phase | null;
  /** mod revision of `phases/<id>`, 0 = absent. */
  phaseRevision: number;
  /** Compiled; null while there is no phase or no node. */
  spec: EdgeSpec | null;
  hash: string | null;
}

export interface AuditResult {
  shard: number;
  checked: number;
  /** Nodes whose reported hash is not the desired one; each was pushed its spec and signalled. */
  differing: { node: NodeName; why: string }[];
}

export interface ClusterPort {
  desired(node: NodeName): Promise<DesiredNode>;
  /** Compare-and-set on `phases/<id>`; null deletes it. Returns the new mod revision (0 = gone). */
  writePhase(node: NodeName, phase: Phase | null, expectedRevision: number): Promise<number>;
  /**
   * Resolves once the edge's stream is up and it has accepted a spec of at least `revision`;
   * `beat` is called about once a second while waiting.
   */
  awaitEdge(
    node: NodeName,
    revision: number,
    beat: () => void,
    cancelled: AbortSignal,
  ): Promise<{ incarnation: number; acceptedRevision: number }>;
  /** Removes the node's keys; refused unless it is marked for deletion (or `force`). */
  removeNode(node: NodeName, force: boolean): Promise<void>;
  auditShard(shard: number): Promise<AuditResult>;
  /** Shards (0 … 255) that have at least one node. */
  shardsWithNodes(): Promise<number[]>;
  /**
   * Update-with-start of `nodeLifecycle` with `{phase, holder, takeOver}`; refused with PhaseConflict
   * where another one is at work. The refusal of the update may pass as it is: `failures.ts` knows it.
   */
  requestPhase(
    node: NodeName,
    phase: Phase,
    holder: string,
    takeOver: string | null,
  ): Promise<{ phaseRevision: number }>;
  /** Whether a workflow of that id is running (describe; one that does not exist is not). */
  isRunning(workflowId: string): Promise<boolean>;
  releasePhase(
    node: NodeName,
    holder: string,
    outcome: 'done' | 'failed',
    next: Phase | null,
  ): Promise<void>;
}
