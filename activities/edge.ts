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
