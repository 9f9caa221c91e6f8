/** How `nodeLifecycle` counts what a node and its upstreams do too often, and has it quarantined. */
import {
  ParentClosePolicy,
  getExternalWorkflowHandle,
  isCancellation,
  startChild,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import * as damping from '../core/damping/node';
import { WHOLE_NODE } from '../core/damping/causes';
import { DAMPING } from '../core/damping/penalty';
import { workflowId } from '../core/model/ids';
import type { Granted, LifecycleState } from '../core/model/messages';
import type { RoutingEvent } from '../core/model/routing';
import type {
  ByHand,
  PenaltyView,
  QuarantineInput,
  RoutingEvents,
} from '../core/model/routing-messages';
import { penalty } from './messages';

/** A release that moves by less is told when it has come: `quarantineEnded` is answered by it. */
const WORTH_TELLING_MS = 1_000;

type Kept = Pick<LifecycleState, 'damping' | 'quarantine'>;

export class Flaps {
  private asking = false;

  constructor(
    private readonly node: string,
    private readonly state: () => LifecycleState,
    private readonly change: (next: Kept) => void,
  ) {}

  private get kept(): damping.NodeDamping {
    return this.state().damping ?? damping.NO_DAMPING;
  }

  views(): PenaltyView[] {
    return damping.views(this.kept, DAMPING);
  }

  /** Only where there is something to say: recorded grants go on to replay. */
  granted(): Pick<Granted, 'reannounceAtMs'> {
    const atMs = damping.reannounceAtMs(this.kept, Date.now());
    return atMs === null ? {} : { reannounceAtMs: atMs };
  }

  /** A signal sent by hand may hold anything. */
  async happened(told: RoutingEvents): Promise<void> {
    const events: RoutingEvent[] = Array.isArray(told?.events) ? told.events : [];
    const now = Date.now();
    const numbered = events.filter((event) => Number.isSafeInteger(event?.sequence));
    const next = numbered.reduce(
      (kept, event) => damping.happened(kept, event, now, DAMPING),
      this.kept,
    );
    await this.counted(next);
  }

  async drifted(): Promise<void> {
    await this.counted(damping.penalise(this.kept, WHOLE_NODE, 'drift', Date.now(), DAMPING));
  }

  async ended(hand: ByHand | null): Promise<void> {
    const now = Date.now();
    const next =
      hand === null ? damping.look(this.kept, now, DAMPING) : damping.forgiven(this.kept);
    this.change({ damping: next, quarantine: null });
    await this.counted(next);
  }

  private async counted(next: damping.NodeDamping): Promise<void> {
    this.change({ damping: next });
    const untilMs = damping.suppressedUntilMs(next, DAMPING);
    const { phase, quarantine: former } = this.state();
    // One that was superseded has said nothing at its end.
    const quarantine = former && former.untilMs > Date.now() ? former : null;
    if (untilMs === null || (phase !== 'active' && phase !== 'quarantined')) return;
    if (quarantine && untilMs - quarantine.untilMs < WORTH_TELLING_MS) return;
    const sinceMs = quarantine?.sinceMs ?? Date.now();
    this.change({ quarantine: { sinceMs, untilMs, reason: damping.reasonOf(next) } });
    await this.ask();
  }

  /** One at a time; what rises meanwhile is told with the next. */
  private async ask(): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    try {
      for (let asked = 0, now = this.wanted(); now !== null && now.untilMs !== asked;) {
        await this.quarantine(now);
        asked = now.untilMs;
        now = this.wanted();
      }
    } finally {
      this.asking = false;
    }
  }

  private wanted(): QuarantineInput | null {
    const { quarantine } = this.state();
    if (!quarantine) return null;
    return { node: this.node, reason: quarantine.reason, untilMs: quarantine.untilMs };
  }

  private async quarantine(input: QuarantineInput): Promise<void> {
    const { node } = this;
    const id = workflowId.quarantine(node);
    try {
      await startChild('quarantineNode', {
        workflowId: id,
        args: [input],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        workflowTaskTimeout: '5s',
        staticSummary: `Quarantine ${node}`,
      });
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      await getExternalWorkflowHandle(id)
        .signal(penalty, input)
        .catch((gone: unknown) => {
          // It ended at this moment, and says so: then what is left of the penalty is looked at.
          if (isCancellation(gone)) throw gone;
        });
    }
  }
}
