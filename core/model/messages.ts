/**
 * What travels between edges, workflows and controllers. JSON-plain, versioned by adding optional
 * fields only: recorded histories must go on to replay.
 */
import type { NodeDamping } from '../damping/node';
import type { Override } from '../filter/contents';
import type { Finding, Stage } from '../plan/types';
import type { ActivityFence, Phase } from './edge-spec';
import type { NodeName } from './ids';
import type { RepairPolicy, RuleMode } from './node';
import type { RoutingStatus } from './routing';
import type { PenaltyView } from './routing-messages';

/** Evidence of a difference between the accepted spec and the host; goes up the edge stream. */
export interface DriftReport {
  node: NodeName;
  /** One id through event, workflow, repair, metric exemplar and log: `inc-<base32>`. */
  incidentId: string;
  /** Revision and hash of the spec the agent had accepted. */
  revision: number;
  specHash: string;
  planHash: string;
  findings: Finding[];
  /** `spec`: a new spec was accepted; `kernel`: the host changed under an accepted one. */
  cause: 'spec' | 'kernel';
  /** Epoch ms of the first kernel event of this incident; equals `detectedAtMs` when polled. */
  kernelAtMs: number;
  detectedAtMs: number;
  /** "ip (pid 4711)" where the change's netlink port id led to a living process. */
  suspect: string | null;
  /** Step summaries of the plan the agent would run: what a person approves. */
  plan: string[];
  /** Of the accepted spec and the agent's persisted budget: what `core/repair` decides by. */
  policy: RepairPolicy;
  frozen: { local: boolean; node: boolean; global: boolean };
  /** Repairs that count against the budget now, and when the oldest of them stops counting. */
  budget: { used: number; freesAtMs: number | null };
  /** The finding that came back most often after it was repaired, within the budget's window. */
  recurring: { finding: string; times: number } | null;
}

/** What the workflow (or in its absence the agent) made of a report. */
export type Decision =
  | { kind: 'repair' }
  /** Policy `propose`: waits for an approval of exactly `planHash`. */
  | { kind: 'propose'; planHash: string }
  | { kind: 'report' }
  | { kind: 'frozen'; scope: 'node' | 'global' }
  | { kind: 'budgetExhausted'; attempts: number; nextAtMs: number }
  /** The same finding came back after each repair: somebody fights us. */
  | { kind: 'fighting'; finding: string; times: number; suspect: string | null }
  /** Only foreign objects are in the way. */
  | { kind: 'conflict'; finding: string };

export interface ReconcileRequest {
  node: NodeName;
  incidentId: string;
  fence: ActivityFence;
  /** Null: all of them. */
  stages: Stage[] | null;
}

export interface ReconcileResult {
  /** `refused`: nothing was changed. `partial`: some finding is left (`remaining`). */
  outcome: 'converged' | 'partial' | 'refused';
  /** Why refused or partial, for people; null when converged. */
  reason: string | null;
  revision: number;
  planHash: string;
  found: Finding[];
  applied: string[];
  remaining: Finding[];
  startedAtMs: number;
  finishedAtMs: number;
  /** kernel event → verified, where the incident began with an event. */
  repairedInMs: number | null;
}

// ---- Workflow inputs, signals, updates, queries --------------------------------------------

/** Input of onboardNode, decommissionNode. Started by the controller or by hand. */
export interface NodeInput {
  node: NodeName;
  /** Null: whatever is in etcd when the workflow looks. */
  revision: number | null;
  /** onboardNode: how long to wait for the edge before giving up (ms); default 10 min. */
  edgeWaitMs?: number;
  /** decommissionNode: without the edge, because it will never come back. Set by the CLI alone. */
  force?: boolean;
}

/** Input of repairNode; `carried` only on continue-as-new. */
export interface RepairInput {
  node: NodeName;
  /** How long to wait for further reports before completing (ms); default 30 s. */
  lingerMs?: number;
  carried?: { reports: DriftReport[] };
}

/** Input of refreshBlocklist. Started by its Schedule, by the controller or by hand. */
export interface RefreshInput {
  blocklist: string;
}

export interface LifecycleInput {
  node: NodeName;
  carried?: LifecycleState;
}

export interface LifecycleState {
  phase: Phase | null;
  /** mod revision of `phases/<id>` as last written; 0 = absent. */
  phaseRevision: number;
  /** Who holds the phase: the workflow id it was granted to; null = nobody is at work. */
  holder: string | null;
  /** Repairs that ended, newest last, at most 50. */
  repairs: RepairRecord[];
  escalation: { sinceMs: number; reason: string; suspect: string | null } | null;
  /** Absent: nothing was ever held against it. */
  damping?: NodeDamping;
  /** What of it is suppressed, until when, and since when a quarantine is asked for; null = nothing is. */
  quarantine?: { sinceMs: number; untilMs: number; reason: string } | null;
  /** As of `damping`, for the query `state` alone. */
  penalties?: PenaltyView[];
}

export interface RepairRecord {
  incidentId: string;
  atMs: number;
  decision: Decision['kind'];
  outcome: ReconcileResult['outcome'] | 'none';
  by: 'workflow' | 'agent';
  findings: string[];
  repairedInMs: number | null;
  /** For people, where it did not end well: why. */
  reason?: string;
  /** Whoever made the change, as in DriftReport. */
  suspect?: string | null;
  /** As in DriftReport; absent: not known. */
  cause?: DriftReport['cause'];
}

/** Names of signals, updates and queries; the definitions in `workflows/` use exactly these. */
export const messageNames = {
  /** repairNode signal(DriftReport). */
  drift: 'drift',
  /** repairNode signal(RepairRecord): the agent repaired by itself. */
  repairedByAgent: 'repairedByAgent',
  /** repairNode update(Approval) → {accepted: true}; refused when the hash is another. */
  approve: 'approve',
  /** repairNode signal(): freeze or policy changed, decide again. */
  reconsider: 'reconsider',
  /** nodeLifecycle update(GrantPhase) → Granted. */
  grantPhase: 'grantPhase',
  /** nodeLifecycle update(ReleasePhase) → void: the workflow that held the phase ended. */
  releasePhase: 'releasePhase',
  /** nodeLifecycle signal(RepairRecord). */
  repairEnded: 'repairEnded',
  /** nodeLifecycle signal(RoutingEvents). */
  routingEvents: 'routingEvents',
  /** nodeLifecycle signal(ByHand | null): a quarantine ended, by hand or (null) by time. */
  quarantineEnded: 'quarantineEnded',
  /** drainNode, drainService signal(ByHand): back to normal, from wherever it is. */
  undrain: 'undrain',
  /** quarantineNode signal(QuarantineInput): the penalty has risen. */
  penalty: 'penalty',
  /** quarantineNode signal(ByHand): release it now. */
  release: 'release',
  /** bgpFailover signal(FailoverEvidence). */
  evidence: 'evidence',
  /** bgpFailover signal(ByHand): return now, without waiting for hold-down. */
  failBack: 'failBack',
  /** Queries. */
  state: 'state',
  progress: 'progress',
} as const;

export interface GrantPhase {
  phase: Phase;
  holder: string;
  /** A holder that was found not to be running any more; the grant may pass from it. */
  takeOver?: string | null;
}

export interface Granted {
  phaseRevision: number;
  /** A service that was withdrawn is not to be announced before; null or absent: it may be now. */
  reannounceAtMs?: number | null;
}

export interface ReleasePhase {
  holder: string;
  outcome: 'done' | 'failed';
  /** Null: the node has no phase any more; with outcome `done` the entity ends. */
  next: Phase | null;
}

/** A person (`by`) agrees to exactly the plan of this hash. */
export interface Approval {
  planHash: string;
  by: string;
}

// ---- Edge facts ------------------------------------------------------------------------------

/** Said on the host itself; `untilMs` null: until somebody unfreezes. */
export interface LocalFreeze {
  sinceMs: number;
  untilMs: number | null;
  reason: string;
  /** Absent: said to an agent of a former version. */
  by?: string;
}

/** What the agent says of itself: `aether edge status`, explain, the audit. */
export interface EdgeStatus {
  node: NodeName;
  incarnation: number;
  agentVersion: string;
  accepted: { revision: number; hash: string; phase: Phase } | null;
  /** Hash of the spec that the host was last verified to be; null = never. */
  appliedHash: string | null;
  findings: Finding[];
  plan: string[];
  planHash: string;
  incident: string | null;
  lastDecision: { decision: Decision; atMs: number; incidentId: string } | null;
  lastRepair: RepairRecord | null;
  /** The next thing that will happen by time alone. */
  nextTimer: { what: string; atMs: number } | null;
  budget: { attempts: number; used: number; perMs: number };
  frozen: { local: boolean; node: boolean; global: boolean };
  /** Null: it is not frozen on its host. Absent: an agent of a former version. */
  freeze?: LocalFreeze | null;
  /** `why`: what the last one that refused it, or was not reached, had to say; null where it is connected. */
  controller: {
    connected: boolean;
    address: string | null;
    sinceMs: number | null;
    why?: string | null;
  };
  /** `why`: it is not connected; absent: an agent of a former version, or it has not tried yet. */
  temporal: { connected: boolean; why?: string | null };
  /** Problems of the agent itself: read-only state directory, disk full … */
  problems: string[];
  /** Absent: an agent of a former version. */
  filters?: EdgeFilters;
  /** Absent: it has neither BGP nor BFD, or is of a former version. */
  routing?: RoutingStatus;
}

/** What the filters of an edge hold, against what spec, overrides by hand and the time want. */
export interface EdgeFilters {
  interfaces: {
    interface: string;
    /** Hash of the contents (core/filter/contents.ts); null: no spec yet, nothing loaded yet. */
    wanted: string | null;
    held: string | null;
    /** Why they differ, for people. */
    problem: string | null;
  }[];
  lists: {
    name: string;
    mode: RuleMode;
    /** Prefixes in it, and in what of it is loaded; null: nothing is. */
    wanted: number;
    held: number | null;
    /** Pieces of it that have not arrived yet. */
    chunksMissing: number;
  }[];
  /** Sources in force by hand. */
  overrides: Override[];
}
