/**
 * Verbs on the cluster's state, run by the controller that owns the node's shard, on
 * `ctl/shard-NNN`. Every write is fenced by the ownership key (design §3, fence a).
 */
import { PHASES } from '../core/model/edge-spec';
import type { Phase } from '../core/model/edge-spec';
import { factsOf } from '../core/model/errors';
import { SHARD_COUNT } from '../core/model/ids';
import type { NodeName } from '../core/model/ids';
import type { Granted, ReleasePhase } from '../core/model/messages';
import { assertInput, badNode, beforeTimeout, callPort } from './failures';

/** What a workflow has to know of a node; its spec is none of a history's business. */
export interface DesiredNode {
  /** Null: there is no such node. */
  nodeRevision: number | null;
  deletionRevision: number | null;
  phase: Phase | null;
  /** mod revision of `phases/<id>`, 0 = absent. */
  phaseRevision: number;
  /** Addresses of the routers that it is to speak BGP with; absent: with none. */
  neighbors?: string[];
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
   * Resolves once the edge's stream is up and it has accepted a spec of at least `revision`; refused
   * with EdgeAbsent, which says what is missing, where that was not so until `ended`.
   */
  awaitEdge(
    node: NodeName,
    revision: number,
    ended: AbortSignal,
  ): Promise<{ incarnation: number; acceptedRevision: number }>;
  /**
   * Removes the node's keys; refused unless it is marked for deletion (or `force`). One whose mark is
   * another than `deletionRevision` was declared anew since, and stays; null: whatever is there.
   */
  removeNode(node: NodeName, force: boolean, deletionRevision: number | null): Promise<void>;
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
  ): Promise<Granted>;
  /** Whether a workflow of that id is running (describe; one that does not exist is not). */
  isRunning(workflowId: string): Promise<boolean>;
  releasePhase(
    node: NodeName,
    holder: string,
    outcome: 'done' | 'failed',
    next: Phase | null,
  ): Promise<void>;
}

const badPhase = (phase: Phase | null): boolean => phase !== null && !PHASES.includes(phase);
const badRevision = (revision: number): boolean => !Number.isSafeInteger(revision) || revision < 0;

/** A grant passes on only from a holder that is refused for, and then found not to be running. */
async function requestPhase(
  port: ClusterPort,
  node: NodeName,
  phase: Phase,
  holder: string,
): Promise<Granted> {
  try {
    return await port.requestPhase(node, phase, holder, null);
  } catch (error) {
    const present = factsOf(error, 'PhaseConflict')?.holder ?? null;
    if (present === null || (await port.isRunning(present))) throw error;
    return port.requestPhase(node, phase, holder, present);
  }
}

export type ClusterActivities = ReturnType<typeof createClusterActivities>;

/** The names of these methods are a contract with running workflows: add, never rename. */
export function createClusterActivities(port: ClusterPort) {
  return {
    async desired({ node }: { node: NodeName }): Promise<DesiredNode> {
      assertInput({ 'node is not a DNS label': badNode(node) });
      return callPort(() => port.desired(node));
    },
    async writePhase(p: {
      node: NodeName;
      phase: Phase | null;
      expectedRevision: number;
    }): Promise<number> {
      assertInput({
        'node is not a DNS label': badNode(p.node),
        'unknown phase': badPhase(p.phase),
        'expectedRevision is not a revision': badRevision(p.expectedRevision),
      });
      return callPort(() => port.writePhase(p.node, p.phase, p.expectedRevision));
    },
    async awaitEdge({ node, revision }: { node: NodeName; revision: number }) {
      assertInput({
        'node is not a DNS label': badNode(node),
        'revision is not a revision': badRevision(revision),
      });
      return callPort((cancelled) =>
        port.awaitEdge(node, revision, AbortSignal.any([cancelled, beforeTimeout()])),
      );
    },
    async removeNode(p: {
      node: NodeName;
      force: boolean;
      /** Not said by workflows of former versions. */
      deletionRevision?: number | null;
    }): Promise<void> {
      assertInput({ 'node is not a DNS label': badNode(p.node) });
      return callPort(() => port.removeNode(p.node, p.force, p.deletionRevision ?? null));
    },
    async auditShard({ shard }: { shard: number }): Promise<AuditResult> {
      assertInput({ 'shard is out of range': badRevision(shard) || shard >= SHARD_COUNT });
      return callPort(() => port.auditShard(shard));
    },
    /** Run as a local activity by `auditNodes`: it belongs to no shard. */
    async shardsWithNodes(): Promise<number[]> {
      return callPort(() => port.shardsWithNodes());
    },
    async requestPhase(p: { node: NodeName; phase: Phase; holder: string }): Promise<Granted> {
      assertInput({
        'node is not a DNS label': badNode(p.node),
        'unknown phase': badPhase(p.phase),
        'holder is empty': p.holder === '',
      });
      return callPort(() => requestPhase(port, p.node, p.phase, p.holder));
    },
    async releasePhase(p: ReleasePhase & { node: NodeName }): Promise<void> {
      assertInput({
        'node is not a DNS label': badNode(p.node),
        'unknown phase': badPhase(p.next),
      });
      return callPort(() => port.releasePhase(p.node, p.holder, p.outcome, p.next));
    },
  };
}
