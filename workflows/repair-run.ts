/** How `repairNode` does its tasks: activities on the edge, records to the life of the node. */
import {
  allHandlersFinished,
  condition,
  getExternalWorkflowHandle,
  workflowInfo,
} from '@temporalio/workflow';
import type { ActivityFence } from '../core/model/edge-spec';
import { workflowId } from '../core/model/ids';
import type { Approval, DriftReport, RepairRecord } from '../core/model/messages';
import { decisionText } from '../core/repair/text';
import { repairDetails, settledDetails } from './details';
import { reasonOf, refuse } from './failures';
import { repairEnded } from './messages';
import { repairOn } from './proxies';
import { recordOf, type RepairCase, type Task } from './repair-case';
import { Visibility } from './visibility';

export interface RepairSummary {
  /** Repairs that were sent to the edge, and how the last thing ended. */
  repairs: number;
  last: RepairRecord | null;
}

export class RepairRun {
  readonly summary: RepairSummary = { repairs: 0, last: null };
  private telling = 0;
  private readonly edge;
  private readonly visibility;
  private readonly lifecycle;

  constructor(
    private readonly node: string,
    private readonly open: RepairCase,
  ) {
    this.edge = repairOn(node);
    this.visibility = new Visibility(node);
    this.lifecycle = getExternalWorkflowHandle(workflowId.lifecycle(node));
  }

  mayApprove({ planHash }: Approval): void {
    const { proposed } = this.open;
    if (proposed !== null && proposed === planHash) return;
    const { node } = this;
    throw refuse(
      { code: 'PlanChanged', node, approvedHash: planHash, planHash: proposed ?? '' },
      proposed === null
        ? `Nothing waits for approval on ${node}.`
        : `The plan that waits on ${node} is ${proposed}: look at it, and approve that one.`,
    );
  }

  approve(approval: Approval): { accepted: true } {
    this.open.approve(approval);
    return { accepted: true };
  }

  async perform(task: Exclude<Task, { do: 'wait' | 'done' }>): Promise<void> {
    switch (task.do) {
      case 'repair':
        return this.repair(task);
      case 'note':
        return this.note(task);
      case 'refresh':
        return this.refresh(task.report);
      case 'tell':
        return this.tell(task.record);
    }
  }

  /** Waits until all is told and handled; false where something came in meanwhile. */
  async told(): Promise<boolean> {
    const { heard } = this.open;
    await condition(() => this.telling === 0 && allHandlersFinished());
    return this.open.heard === heard;
  }

  private async repair({ report, decision, planHash }: Task & { do: 'repair' }): Promise<void> {
    this.summary.repairs += 1;
    const { node } = this;
    const { incidentId } = report;
    const summary = `repair ${incidentId}`;
    const repairing = this.edge.reconcile.executeWithOptions({ summary }, [
      { node, incidentId, fence: fence(report, planHash), stages: null },
    ]);
    this.visibility.show({ state: 'repairing' }, repairDetails(report, decision));
    try {
      const result = await repairing;
      const { outcome, reason } = result;
      if (outcome === 'converged') this.open.converged(result);
      this.visibility.show({ state: outcome }, settledDetails(node, outcome, reason));
      this.tell(recordOf(report, decision.kind, result, reason, Date.now()));
    } catch (error) {
      // Whatever it was, the edge sees what is left of it and reports that.
      const reason = reasonOf(error);
      this.visibility.show({ state: 'failed' }, settledDetails(node, 'not repaired', reason));
      this.tell(recordOf(report, decision.kind, null, reason, Date.now()));
    }
  }

  private async note({ report, decision }: Task & { do: 'note' }): Promise<void> {
    const { incidentId } = report;
    this.visibility.show({ state: decision.kind }, repairDetails(report, decision));
    this.tell(recordOf(report, decision.kind, null, decisionText(decision), Date.now()));
    const summary = `${incidentId}: ${decision.kind}`;
    const note = { incidentId, fence: fence(report, null), decision };
    // An edge that is absent meanwhile reports again, and is answered again.
    await this.edge.noteDecision.executeWithOptions({ summary }, [note]).catch(() => undefined);
  }

  private async refresh(report: DriftReport): Promise<void> {
    const summary = 'how does it stand now?';
    const status = await this.edge.status.executeWithOptions({ summary }, []).catch(() => null);
    this.open.refreshed(report, status, Date.now());
  }

  /** Not waited for here; a node without an entity has nobody to tell. */
  private tell(record: RepairRecord): void {
    this.summary.last = record;
    this.telling += 1;
    void this.lifecycle
      .signal(repairEnded, record)
      .catch(() => undefined)
      .finally(() => (this.telling -= 1));
  }

  async wait(ms: number | null): Promise<void> {
    const { heard } = this.open;
    const news = (): boolean => this.open.heard !== heard;
    if (ms === null) await condition(news);
    else await condition(news, ms);
  }
}

function fence({ revision }: DriftReport, planHash: string | null): ActivityFence {
  const { workflowId: id, runId } = workflowInfo();
  return { workflowId: id, runId, revision, planHash };
}
