/** What building up and taking away have in common: a phase held, a spec accepted, stage by stage. */
import { ApplicationFailure, sleep, workflowInfo } from '@temporalio/workflow';
import type { Phase } from '../core/model/edge-spec';
import { factsOf } from '../core/model/errors';
import type { NodeName } from '../core/model/ids';
import type { ReconcileRequest, ReconcileResult } from '../core/model/messages';
import type { Stage } from '../core/plan/types';
import { stageDetails } from './details';
import { awaitEdgeOf, buildOn, type contendFor } from './proxies';
import { Visibility } from './visibility';

/** A spec that changes meanwhile is followed this often; each time the stages begin anew. */
const RESTARTS_MAX = 10;
const RESTART_AFTER = '1s';

type Verb = 'reconcile' | 'remove';

export class StagedWork {
  /** Revision of the spec that the edge has accepted under our phase. */
  revision = 0;
  private phaseRevision = 0;
  private limitMs: number | null = null;
  private phase: Phase | null = null;
  private done: Stage[] = [];
  readonly visibility;
  private readonly edge;

  constructor(
    private readonly node: NodeName,
    private readonly cluster: ReturnType<typeof contendFor>,
  ) {
    this.edge = buildOn(node);
    this.visibility = new Visibility(node);
  }

  say(state: string, now: string): void {
    const title = `${this.node}: ${this.phase ?? 'no phase yet'}`;
    this.visibility.show({ state, phase: this.phase }, stageDetails(title, this.done, now));
  }

  async enter(phase: Phase): Promise<void> {
    this.say('asking', `Asking for the phase ${phase}.`);
    const { node } = this;
    const { workflowId: holder } = workflowInfo();
    const granted = await this.cluster.requestPhase({ node, phase, holder });
    this.phaseRevision = granted.phaseRevision;
    this.phase = phase;
    this.done = [];
  }

  /** Waits until the edge has accepted the spec of our phase; `limitMs` null: as long as it takes. */
  async accepted(limitMs: number | null): Promise<void> {
    this.limitMs = limitMs;
    this.say('waitingForEdge', `Waiting for the edge to accept revision ${this.phaseRevision}.`);
    const summary = `spec ≥ ${this.phaseRevision} accepted`;
    const { node, phaseRevision: revision } = this;
    const { awaitEdge } = awaitEdgeOf(node, limitMs);
    const edge = await awaitEdge.executeWithOptions({ summary }, [{ node, revision }]);
    this.revision = edge.acceptedRevision;
  }

  /** All stages in the given order, each verified; anew whenever the spec has moved on. */
  async all(verb: Verb, stages: readonly Stage[], before?: (stage: Stage) => void): Promise<void> {
    for (let next = 0, restarts = 0; next < stages.length;) {
      const stage = stages[next] as Stage;
      before?.(stage);
      const refused = await this.one(verb, stage);
      if (refused === null) {
        next += 1;
        continue;
      }
      if (++restarts > RESTARTS_MAX) throw stageFailed(verb, stage, refused);
      this.say('restarting', `Beginning anew, the edge refused ${stage}: ${refused}`);
      await sleep(RESTART_AFTER);
      await this.accepted(this.limitMs);
      next = 0;
    }
  }

  /** The whole spec, so that nothing changed behind the stages that were done. */
  async verify(): Promise<void> {
    const result = await this.call('reconcile', null, 'verify the whole');
    if (result.outcome !== 'converged') {
      throw stageFailed('reconcile', 'the whole spec', leftOver(result));
    }
  }

  /** Null: converged; else why the edge refused, with nothing changed. */
  private async one(verb: Verb, stage: Stage): Promise<string | null> {
    this.say(verb === 'remove' ? 'removing' : 'building', `${verb} ${stage}`);
    try {
      const result = await this.call(verb, [stage], `${verb} ${stage}`);
      if (result.outcome === 'refused') return leftOver(result);
      if (result.outcome === 'partial') throw stageFailed(verb, stage, leftOver(result));
      this.done = [...this.done, stage];
      return null;
    } catch (error) {
      const stale = factsOf(error, 'StaleRevision');
      if (stale === null) throw error;
      return `revision ${stale.revision} is older than the accepted ${stale.acceptedRevision}`;
    }
  }

  private call(verb: Verb, stages: Stage[] | null, summary: string): Promise<ReconcileResult> {
    const { workflowId, runId } = workflowInfo();
    const request: ReconcileRequest = {
      node: this.node,
      incidentId: workflowId,
      fence: { workflowId, runId, revision: this.revision, planHash: null },
      stages,
    };
    return this.edge[verb].executeWithOptions({ summary }, [request]);
  }
}

const leftOver = ({ reason, remaining }: ReconcileResult): string =>
  reason ?? (remaining.map((f) => f.message).join('; ') || 'no reason given');

const stageFailed = (verb: Verb, stage: string, why: string): ApplicationFailure =>
  ApplicationFailure.create({
    type: 'StageFailed',
    message: `${verb} ${stage}: ${why}`,
    nonRetryable: true,
    details: [{ verb, stage, why }],
  });
