/**
 * Verbs on one edge host, run by the agent's own worker on `edge/<node>`. The agent behind the port
 * checks the fence, keeps one plan at a time and translates nothing: results are its own words.
 */
import type { ActivityFence } from '../core/model/edge-spec';
import type {
  Decision,
  EdgeStatus,
  ReconcileRequest,
  ReconcileResult,
} from '../core/model/messages';
import { STAGES } from '../core/plan/types';
import { assertInput, badNode, callPort } from './failures';

export interface NoteDecision {
  incidentId: string;
  fence: ActivityFence;
  decision: Decision;
}

/** What these activities need of the agent. Every method may be repeated. */
export interface EdgePort {
  /** observe → diff → act → verify towards the accepted spec, of all stages or the named ones. */
  reconcile(request: ReconcileRequest): Promise<ReconcileResult>;
  /** Takes the named stages away again, in reverse order; what is absent is a success. */
  remove(request: ReconcileRequest): Promise<ReconcileResult>;
  /** A decision that sends no repair: the agent must not act by itself on this incident. */
  noteDecision(note: NoteDecision): Promise<void>;
  status(): Promise<EdgeStatus>;
}

const badFence = (fence: ActivityFence): boolean =>
  !fence.workflowId || !fence.runId || !Number.isSafeInteger(fence.revision);

function assertRequest({ node, fence, stages }: ReconcileRequest): void {
  assertInput({
    'node is not a DNS label': badNode(node),
    'fence lacks workflow, run or revision': badFence(fence),
    'stages names an unknown stage': stages !== null && !stages.every((s) => STAGES.includes(s)),
  });
}

export type EdgeActivities = ReturnType<typeof createEdgeActivities>;

/** The names of these methods are a contract with running workflows: add, never rename. */
export function createEdgeActivities(port: EdgePort) {
  return {
    async reconcile(request: ReconcileRequest): Promise<ReconcileResult> {
      assertRequest(request);
      return callPort(() => port.reconcile(request));
    },
    async remove(request: ReconcileRequest): Promise<ReconcileResult> {
      assertRequest(request);
      return callPort(() => port.remove(request));
    },
    async noteDecision(note: NoteDecision): Promise<void> {
      assertInput({ 'fence lacks workflow, run or revision': badFence(note.fence) });
      return callPort(() => port.noteDecision(note));
    },
    async status(): Promise<EdgeStatus> {
      return callPort(() => port.status());
    },
  };
}
