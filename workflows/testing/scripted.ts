/**
 * The two ports of the activities, played by a script: an edge and a cluster whose state is plain
 * memory, and which fail where the test says. Temporal and everything between is real.
 */
import type { AuditResult, ClusterPort, DesiredNode } from '../../activities/cluster';
import type { EdgePort, NoteDecision } from '../../activities/edge';
import type { TemporalClient } from '../../adapters/temporal/client';
import type { Phase } from '../../core/model/edge-spec';
import { Refusal } from '../../core/model/errors';
import type {
  DriftReport,
  EdgeStatus,
  ReconcileRequest,
  ReconcileResult,
} from '../../core/model/messages';
import { DEFAULT_REPAIR } from '../../core/model/node';
import { STAGES, type Finding, type Stage } from '../../core/plan/types';
import { shardOf } from '../../core/ring/shard';

export const FINDING: Finding = {
  kind: 'linkMissing',
  object: 'edge/edge0',
  message: 'veth edge0 ↔ edge/eth0 is missing',
  conflict: false,
};

/** A report as the agent of `node` makes it; `change` says what is special about this one. */
export function driftOf(node: string, change: Partial<DriftReport> = {}): DriftReport {
  return {
    node,
    incidentId: 'inc-aaaaaaaaaaaaaaaa',
    revision: 1,
    specHash: 'spec',
    planHash: 'plan-1',
    findings: [FINDING],
    cause: 'kernel',
    kernelAtMs: Date.now(),
    detectedAtMs: Date.now(),
    suspect: null,
    plan: ['create veth edge0 ↔ edge/eth0'],
    policy: DEFAULT_REPAIR,
    frozen: { local: false, node: false, global: false },
    budget: { used: 0, freesAtMs: null },
    recurring: null,
    ...change,
  };
}

/** An edge that can do what it is asked, and remembers the order in which it was. */
export class ScriptedEdge implements EdgePort {
  /** `reconcile links`, `remove links`, `reconcile all`, `note frozen`, `status`. */
  readonly calls: string[] = [];
  readonly requests: ReconcileRequest[] = [];
  readonly notes: NoteDecision[] = [];
  readonly present = new Set<Stage>();
  accepted = 1;
  findings: Finding[] = [];
  frozen = { local: false, node: false, global: false };
  /** Runs before a call takes effect; what it throws, the call throws. */
  before: (call: string) => Promise<void> | void = () => {};
  /** Says how a repair of everything ends. */
  result: (request: ReconcileRequest) => Partial<ReconcileResult> = () => ({});

  constructor(readonly node: string) {}

  async reconcile(request: ReconcileRequest): Promise<ReconcileResult> {
    const startedAtMs = await this.begin('reconcile', request);
    for (const stage of request.stages ?? []) this.present.add(stage);
    return this.end(request, { startedAtMs, ...this.result(request) });
  }

  async remove(request: ReconcileRequest): Promise<ReconcileResult> {
    const startedAtMs = await this.begin('remove', request);
    for (const stage of request.stages ?? STAGES) this.present.delete(stage);
    return this.end(request, { startedAtMs });
  }

  async noteDecision(note: NoteDecision): Promise<void> {
    this.notes.push(note);
    this.calls.push(`note ${note.decision.kind}`);
  }

  async status(): Promise<EdgeStatus> {
    this.calls.push('status');
    return {
      node: this.node,
      incarnation: 1,
      agentVersion: 'scripted',
      accepted: { revision: this.accepted, hash: 'spec', phase: 'active' },
      appliedHash: null,
      findings: this.findings,
      plan: [],
      planHash: 'plan-now',
      incident: null,
      lastDecision: null,
      lastRepair: null,
      nextTimer: null,
      budget: { attempts: 5, used: 0, perMs: 600_000 },
      frozen: this.frozen,
      controller: { connected: true, address: null, sinceMs: null },
      temporal: { connected: true },
      problems: [],
    };
  }

  private async begin(verb: string, request: ReconcileRequest): Promise<number> {
    const startedAtMs = Date.now();
    const call = `${verb} ${request.stages?.join('+') ?? 'all'}`;
    await this.before(call);
    const { revision } = request.fence;
    if (revision < this.accepted) {
      const { node, accepted: acceptedRevision } = this;
      const fact = { code: 'StaleRevision', node, revision, acceptedRevision } as const;
      throw new Refusal(fact, `revision ${revision} is older than the accepted one`);
    }
    this.calls.push(call);
    this.requests.push(request);
    return startedAtMs;
  }

  private end(request: ReconcileRequest, change: Partial<ReconcileResult>): ReconcileResult {
    return {
      outcome: 'converged',
      reason: null,
      revision: request.fence.revision,
      planHash: request.fence.planHash ?? 'plan-1',
      found: this.findings,
      applied: [],
      remaining: [],
      startedAtMs: Date.now(),
      finishedAtMs: Date.now(),
      repairedInMs: null,
      ...change,
    };
  }
}

/** One cluster of nodes in memory; the phases go through the real `nodeLifecycle`. */
export class ScriptedCluster implements ClusterPort {
  readonly calls: string[] = [];
  readonly nodes = new Map<string, { revision: number; deletionRevision: number | null }>();
  readonly phases = new Map<string, { phase: Phase; revision: number }>();
  readonly edges = new Map<string, ScriptedEdge>();
  /** Routers that a node is to speak BGP with. */
  readonly neighbors = new Map<string, string[]>();
  private revision = 100;

  constructor(private readonly temporal: TemporalClient) {}

  add(edge: ScriptedEdge): void {
    this.edges.set(edge.node, edge);
    this.nodes.set(edge.node, { revision: ++this.revision, deletionRevision: null });
  }

  markDeleted(node: string): void {
    const there = this.nodes.get(node);
    if (there) there.deletionRevision = ++this.revision;
  }

  /** A user edits the node: the edge accepts it at once. */
  edit(node: string): void {
    const there = this.nodes.get(node);
    const edge = this.edges.get(node);
    if (there) there.revision = ++this.revision;
    if (edge) edge.accepted = this.revision;
  }

  async desired(node: string): Promise<DesiredNode> {
    const there = this.nodes.get(node);
    const phase = this.phases.get(node);
    return {
      nodeRevision: there?.revision ?? null,
      deletionRevision: there?.deletionRevision ?? null,
      phase: phase?.phase ?? null,
      phaseRevision: phase?.revision ?? 0,
      ...(this.neighbors.has(node) ? { neighbors: this.neighbors.get(node) ?? [] } : {}),
    };
  }

  async writePhase(node: string, phase: Phase | null, expectedRevision: number): Promise<number> {
    const actualRevision = this.phases.get(node)?.revision ?? 0;
    if (actualRevision !== expectedRevision) {
      const fact = { code: 'PhaseMoved', node, expectedRevision, actualRevision } as const;
      throw new Refusal(fact, 'the phase has moved on');
    }
    this.calls.push(`phase ${phase}`);
    if (phase === null) {
      this.phases.delete(node);
      return 0;
    }
    this.phases.set(node, { phase, revision: ++this.revision });
    const edge = this.edges.get(node);
    if (edge) edge.accepted = this.revision;
    return this.revision;
  }

  async awaitEdge(node: string, revision: number, ended: AbortSignal) {
    this.calls.push('awaitEdge');
    for (;;) {
      const edge = this.edges.get(node);
      if (edge && edge.accepted >= revision) {
        return { incarnation: 1, acceptedRevision: edge.accepted };
      }
      if (ended.aborted) {
        throw new Refusal(
          { code: 'EdgeAbsent', node, lastSeenMs: null },
          `${node} is not connected.`,
        );
      }
      await new Promise((done) => setTimeout(done, 20));
    }
  }

  async removeNode(node: string, force: boolean): Promise<void> {
    this.calls.push(`removeNode${force ? ' by force' : ''}`);
    this.nodes.delete(node);
  }

  async auditShard(shard: number): Promise<AuditResult> {
    this.calls.push(`audit ${shard}`);
    const here = [...this.nodes.keys()].filter((node) => shardOf(node) === shard);
    const differing = here.filter((node) => (this.edges.get(node)?.findings.length ?? 0) > 0);
    return {
      shard,
      checked: here.length,
      differing: differing.map((node) => ({ node, why: 'the applied hash is another' })),
    };
  }

  async shardsWithNodes(): Promise<number[]> {
    return [...new Set([...this.nodes.keys()].map(shardOf))].sort((a, b) => a - b);
  }

  requestPhase(node: string, phase: Phase, holder: string, takeOver: string | null) {
    return this.temporal.requestPhase({ node, region: null }, { phase, holder, takeOver });
  }

  async isRunning(workflowId: string): Promise<boolean> {
    const handle = this.temporal.client.workflow.getHandle(workflowId);
    return handle.describe().then(
      ({ status }) => status.name === 'RUNNING',
      () => false,
    );
  }

  releasePhase(node: string, holder: string, outcome: 'done' | 'failed', next: Phase | null) {
    return this.temporal.releasePhase({ node, region: null }, { holder, outcome, next });
  }
}
