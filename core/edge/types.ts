/**
 * The agent of one edge as a value (design §5): what it remembers, what it is told, what it wants
 * done. No clock, no socket, no file: the shell in `workers/edge` obeys the effects.
 */
import type { Override } from '../filter/contents';
import type { EdgeSpec, OwnerFence } from '../model/edge-spec';
import type { HostEvent } from '../model/host';
import type {
  Decision,
  DriftReport,
  LocalFreeze,
  ReconcileRequest,
  ReconcileResult,
  RepairRecord,
} from '../model/messages';
import type { Finding } from '../plan/types';
import type { Attempt } from '../repair/budget';

/** The accepted spec with the fence under which it came; one file of its own on disk. */
export interface Accepted {
  spec: EdgeSpec;
  hash: string;
  fence: OwnerFence;
}

/** What survives a restart besides the spec. JSON-plain; bounded: see `REPAIRS_KEPT`, `UNSENT_KEPT`, `OVERRIDES_MAX`. */
export interface Memory {
  schema: 1;
  /** The highest fence heard; less is refused. */
  fence: OwnerFence | null;
  appliedHash: string | null;
  /** As `appliedHash`, but of the host alone: its filters may still be waiting for a list. */
  verifiedHash: string | null;
  incident: Incident | null;
  freeze: LocalFreeze | null;
  /** Repairs of drift, oldest first: what the budget counts. */
  repairs: Attempt[];
  lastDecision: { decision: Decision; atMs: number; incidentId: string } | null;
  lastRepair: RepairRecord | null;
  /** Records of autonomous repairs that no controller has acknowledged. */
  unsent: RepairRecord[];
  /** Prefixes blocked or spared by hand; those that have ended are left out as they end. */
  overrides: Override[];
}

export const EMPTY_MEMORY: Memory = {
  schema: 1,
  fence: null,
  appliedHash: null,
  verifiedHash: null,
  incident: null,
  freeze: null,
  repairs: [],
  lastDecision: null,
  lastRepair: null,
  unsent: [],
  overrides: [],
};

/** A difference that was seen and is not yet gone. At most one at a time. */
export interface Incident {
  id: string;
  cause: DriftReport['cause'];
  /** Epoch ms, as is `detectedAtMs`. */
  kernelAtMs: number;
  detectedAtMs: number;
  suspect: string | null;
  /** Hash of the plan now on the table. */
  plan: string;
  /** Monotonic ms: when the report goes up (again) by time alone; null while a decision is being waited out. */
  reportAtMs: number | null;
  /** Reminders sent since a controller took the report: the wait for the next one doubles. */
  reminders: number;
  /** Repairs in a row that left something over, and the keys (`findingKey`) of what they left. */
  failures: number;
  left: string[];
  /** What was decided about the plan now on the table; null = nothing yet. */
  decided: Decision['kind'] | null;
  /** Monotonic ms: from here on the agent may repair by itself; null = never by time. */
  autonomyAtMs: number | null;
}

/** One plan at a time: jobs wait in a queue, whoever asks. */
export interface Job {
  kind: 'reconcile' | 'remove';
  by: RepairRecord['by'];
  /** Of whoever waits for the result; null = nobody does, the agent decided by itself. */
  ticket: number | null;
  request: ReconcileRequest;
}

/** What a look at the host gave, against the spec with `specHash`. */
export interface Look {
  specHash: string;
  findings: Finding[];
  plan: string[];
  planHash: string;
}

export interface State {
  node: string;
  accepted: Accepted | null;
  memory: Memory;
  /** A spec that is being written to disk; acknowledged only once it is there. */
  storing: Accepted | null;
  /** A spec that the disk refused; tried again at `retryAtMs` (monotonic). */
  unstored: { accepted: Accepted; retryAtMs: number } | null;
  /** What was last said, on this connection, of a spec that was not taken; null once another one is on its way. */
  refused: { revision: number; reason: string } | null;
  /** The look that counts; null = none since the spec was accepted. */
  look: Look | null;
  /**
   * Why the filters don't hold what the accepted spec names; null = they do. A spec is not applied
   * before, but there is nothing to repair either: what is lacking is on its way.
   */
  filtersPending: string | null;
  /** Epoch ms: when the filters are next to be brought up to date; Infinity: not by time alone. */
  filtersAtMs: number;
  /** Epoch ms: for which time of day they were last. */
  filledAtMs: number;
  /** First event since the last look began, and the one which that look is to answer for. */
  pending: Evidence | null;
  answering: Evidence | null;
  /** `stale`: what the look under way will say is no longer worth anything. */
  observing: 'no' | 'yes' | 'stale';
  /** Monotonic ms, as the two below: the next look by time; events pull it forward. */
  observeAtMs: number;
  lookBeganMs: number;
  /** No event starts a look before this. */
  restUntilMs: number;
  connected: boolean;
  running: Job | null;
  queue: Job[];
}

export interface Evidence {
  kernelAtMs: number;
  suspect: string | null;
}

export type Input =
  | { kind: 'started' }
  | { kind: 'specReceived'; fence: OwnerFence; revision: number; hash: string; spec: EdgeSpec }
  /** One came down that is not what it says to be. */
  | { kind: 'specUnread'; fence: OwnerFence; revision: number; reason: string }
  | { kind: 'specStored'; accepted: Accepted; error: string | null }
  | { kind: 'hostEvent'; event: HostEvent; suspect: string | null }
  | { kind: 'observed'; look: Look }
  | { kind: 'observeFailed' }
  /** The owner, or another one in its place: what it did not acknowledge is said again. */
  | { kind: 'connected' }
  | { kind: 'disconnected' }
  /** Some controller bore it; commands of a former owner are refused from here on. */
  | { kind: 'fenceHeard'; fence: OwnerFence }
  | { kind: 'driftAcked'; fence: OwnerFence; incidentId: string }
  | { kind: 'recordAcked'; fence: OwnerFence; incidentId: string; atMs: number }
  | { kind: 'decisionNoted'; incidentId: string; decision: Decision }
  | { kind: 'requested'; job: 'reconcile' | 'remove'; request: ReconcileRequest; ticket: number }
  /** Of the running job; there is only one. */
  | { kind: 'jobDone'; result: ReconcileResult }
  | { kind: 'localFreeze'; untilMs: number | null; reason: string; by: string }
  | { kind: 'localUnfreeze' }
  /** `none` takes back the override of that prefix. What `overrideRefusal` refuses is not put. */
  | {
      kind: 'override';
      prefix: string;
      verdict: Override['verdict'] | 'none';
      reason: string;
      untilMs: number | null;
    }
  /** The filters were brought where they can be for now; of an older spec it is not heard. */
  | { kind: 'filtersTold'; specHash: string; pending: string | null }
  | { kind: 'tick' };

/** In the order in which they are to be begun. */
export type Effect =
  /** Write the spec durably, then answer with `specStored`. */
  | { kind: 'storeSpec'; accepted: Accepted }
  /**
   * Write `state.memory`, soon: nothing waits for it. What a crash forgets is found again by the
   * next look. A failure is a problem of the agent, not a reason to stop repairing.
   */
  | { kind: 'persist' }
  /** The scope changed: subscribe anew. */
  | { kind: 'watch'; spec: EdgeSpec }
  /** Bring the filters there, newest first; answer with `filtersTold`. Neither budget nor freeze counts. */
  | { kind: 'filters'; accepted: Accepted; overrides: readonly Override[] }
  /** Read the host and compare it with `spec`; answer with `observed` or `observeFailed`. */
  | { kind: 'observe'; spec: EdgeSpec; hash: string }
  | { kind: 'report'; report: DriftReport }
  | { kind: 'applied'; revision: number; hash: string }
  | { kind: 'record'; record: RepairRecord }
  | { kind: 'refuseSpec'; revision: number; reason: string }
  /** Run it, then answer with `jobDone`. */
  | { kind: 'start'; job: Job; accepted: Accepted; kernelAtMs: number | null }
  /** To whoever asked with that ticket. */
  | { kind: 'answer'; ticket: number; result: ReconcileResult }
  /** What the log and the metrics want to know. */
  | { kind: 'note'; note: Note };

export type Note =
  | { what: 'specAccepted'; revision: number; hash: string; phase: string; fence: OwnerFence }
  | { what: 'staleFence'; heard: OwnerFence; held: OwnerFence }
  | { what: 'incidentOpened'; incident: string; findings: string[]; suspect: string | null }
  | { what: 'incidentClosed'; incident: string; openMs: number }
  | { what: 'autonomy'; incident: string; decision: Decision }
  | { what: 'refused'; incident: string; reason: string }
  | { what: 'repaired'; record: RepairRecord; result: ReconcileResult };
