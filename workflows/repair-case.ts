/**
 * What `repairNode` does next, as a value: reports, approvals and results go in, one task at a time
 * comes out. It holds no more than the newest report, since each tells the whole difference.
 *
 *            ┌──────── report ───────┐
 *            ▼                       │
 *   idle ─► undecided ─► repair ─► idle ─► (linger) ─► done
 *            ▲     └───► note ─► waiting ──┐
 *            └─ refresh ◄─ reconsider, time, approval
 */
import type { Approval } from '../core/model/messages';
import type {
  Decision,
  DriftReport,
  EdgeStatus,
  ReconcileResult,
  RepairRecord,
} from '../core/model/messages';
import { findingText } from '../core/plan/types';
import { decide } from '../core/repair/decide';

export type Task =
  | { do: 'repair'; report: DriftReport; decision: Decision; planHash: string | null }
  | { do: 'note'; report: DriftReport; decision: Decision }
  /** The report in hand is out of date: ask the edge how it stands now. */
  | { do: 'refresh'; report: DriftReport }
  | { do: 'tell'; record: RepairRecord }
  /** Until something comes in, or `ms` have passed; null: only the former. */
  | { do: 'wait'; ms: number | null }
  | { do: 'done' };

interface Current {
  report: DriftReport;
  /** Null: not yet decided. */
  decision: Decision | null;
  /** When the decision was taken, epoch ms. */
  sinceMs: number;
}

/** An edge does not say when its budget frees: so it is asked again. */
const ASK_AGAIN_MS = 30_000;

export class RepairCase {
  private reports: DriftReport[] = [];
  private records: RepairRecord[] = [];
  private current: Current | null = null;
  private approval: Approval | null = null;
  private reconsidered = false;
  private idleSinceMs: number;
  /** Grows with whatever comes in: who waits compares it. */
  heard = 0;

  constructor(
    private readonly node: string,
    private readonly lingerMs: number,
    nowMs: number,
  ) {
    this.idleSinceMs = nowMs;
  }

  // ---- What comes in --------------------------------------------------------------------------

  drift(report: DriftReport): void {
    // A report of another node would be acted on here: whoever sent it is wrong.
    if (report?.node !== this.node || !isDecidable(report)) return;
    this.reports.push(report);
    this.heard += 1;
  }

  repairedByAgent(record: RepairRecord): void {
    if (typeof record?.incidentId !== 'string') return;
    this.records.push(record);
    if (this.current?.report.incidentId === record.incidentId) this.current = null;
    this.heard += 1;
  }

  /** The edge has verified the whole host: what it had reported before that began is settled. */
  converged({ revision, startedAtMs }: ReconcileResult): void {
    this.reports = this.reports.filter(
      (report) => report.revision > revision || report.detectedAtMs >= startedAtMs,
    );
  }

  reconsider(): void {
    this.reconsidered = true;
    this.heard += 1;
  }

  /** The hash that waits for a person's word; null where nothing does. */
  get proposed(): string | null {
    const decision = this.current?.decision;
    return decision?.kind === 'propose' ? decision.planHash : null;
  }

  approve(approval: Approval): void {
    this.approval = approval;
    this.heard += 1;
  }

  // ---- What to do -----------------------------------------------------------------------------

  next(nowMs: number): Task {
    const record = this.records.shift();
    if (record) {
      this.idleSinceMs = nowMs;
      return { do: 'tell', record };
    }
    this.takeNewest(nowMs);
    if (this.current?.report.findings.length === 0) this.current = null;
    const task = this.current === null ? this.idle(nowMs) : this.pursue(this.current, nowMs);
    if (task.do !== 'wait' && task.do !== 'done') this.idleSinceMs = nowMs;
    return task;
  }

  private takeNewest(nowMs: number): void {
    const newest = this.reports.reduce<DriftReport | null>(newer, null);
    this.reports = [];
    if (newest !== null) this.current = { report: newest, decision: null, sinceMs: nowMs };
  }

  private pursue(current: Current, nowMs: number): Task {
    const { report, decision: former } = current;
    const approvals = this.approval === null ? [] : [this.approval];
    const approved = this.approval?.planHash === report.planHash;
    if (former === null || approved) {
      const decision = decide(report, approvals, nowMs);
      this.approval = null;
      if (decision.kind === 'repair') {
        this.current = null;
        this.reconsidered = false;
        return { do: 'repair', report, decision, planHash: approved ? report.planHash : null };
      }
      if (!this.reconsidered) {
        this.current = { report, decision, sinceMs: nowMs };
        return { do: 'note', report, decision };
      }
    }
    const dueMs = former === null ? 0 : dueAt(former, report, current.sinceMs);
    if (this.reconsidered || nowMs >= dueMs) {
      this.reconsidered = false;
      return { do: 'refresh', report };
    }
    if (settled(former)) return this.idle(nowMs);
    return { do: 'wait', ms: Number.isFinite(dueMs) ? dueMs - nowMs : null };
  }

  private idle(nowMs: number): Task {
    this.reconsidered = false;
    this.approval = null;
    const ms = this.idleSinceMs + this.lingerMs - nowMs;
    return ms > 0 ? { do: 'wait', ms } : { do: 'done' };
  }

  /** Answer to `refresh`; null where the edge did not answer: it reports again when it is back. */
  refreshed(report: DriftReport, status: EdgeStatus | null, nowMs: number): void {
    if (this.current?.report !== report) return;
    const fresh = status && combine(report, status, this.current.sinceMs, nowMs);
    this.current = fresh ? { report: fresh, decision: null, sinceMs: nowMs } : null;
  }

  /** What the next run begins with; null while something else than reports is in hand. */
  carry(): DriftReport[] | null {
    if (this.approval !== null || this.reconsidered || this.records.length > 0) return null;
    return [...(this.current ? [this.current.report] : []), ...this.reports];
  }
}

/** A signal sent by hand may hold anything: what can't be decided about must not end in the run. */
function isDecidable(report: DriftReport): boolean {
  try {
    decide(report, [], 0);
    return Array.isArray(report.plan);
  } catch {
    return false;
  }
}

/** Of one spec the later report counts, of two specs the later spec's. */
const newer = (a: DriftReport | null, b: DriftReport): DriftReport =>
  a !== null && a.revision > b.revision ? a : b;

/** Nothing more will come of it by waiting: the edge reports when it changes. */
const settled = (decision: Decision | null): boolean =>
  decision?.kind === 'report' || decision?.kind === 'conflict';

/** When a decision runs out by time alone, epoch ms. */
function dueAt(decision: Decision, { policy }: DriftReport, decidedMs: number): number {
  if (decision.kind === 'budgetExhausted') return decision.nextAtMs;
  // By then the repairs that did not last have left the window in which they are counted.
  if (decision.kind === 'fighting') return decidedMs + policy.budget.perMs;
  return Infinity;
}

/** The report as the edge would make it now; null: there is nothing to do any more. */
function combine(
  report: DriftReport,
  status: EdgeStatus,
  sinceMs: number,
  nowMs: number,
): DriftReport | null {
  if (status.accepted === null || status.findings.length === 0) return null;
  const { policy, recurring } = report;
  const { used } = status.budget;
  return {
    ...report,
    incidentId: status.incident ?? report.incidentId,
    revision: status.accepted.revision,
    specHash: status.accepted.hash,
    findings: status.findings,
    plan: status.plan,
    planHash: status.planHash,
    frozen: status.frozen,
    budget: { used, freesAtMs: used === 0 ? null : nowMs + ASK_AGAIN_MS },
    recurring: nowMs - sinceMs >= policy.budget.perMs ? null : recurring,
  };
}

/** What goes on record at `nodeLifecycle`. */
export function recordOf(
  report: DriftReport,
  decision: Decision['kind'],
  result: ReconcileResult | null,
  reason: string | null,
  nowMs: number,
): RepairRecord {
  return {
    incidentId: report.incidentId,
    atMs: nowMs,
    decision,
    outcome: result?.outcome ?? 'none',
    by: 'workflow',
    findings: report.findings.map(findingText),
    repairedInMs: result?.repairedInMs ?? null,
    suspect: report.suspect,
    cause: report.cause,
    ...(reason === null ? {} : { reason }),
  };
}
