/**
 * Keeps a node that flaps out of the way: the last choice of its peers, withdrawn where others are enough.
 * It ends by the time that its penalty says, or by hand, in stages; a node that flaps again meanwhile goes
 * back. Nobody holds the phase while it lasts: a drain or a removal may take the node over, and wins.
 *
 * It may last, and begins anew by continue-as-new.
 */
import {
  CancellationScope,
  ContinueAsNew,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { factsOf } from '../core/model/errors';
import { workflowId } from '../core/model/ids';
import type { ByHand, QuarantineInput, RoutingStep } from '../core/model/routing-messages';
import { floorReached, floorText } from '../core/routing/floor';
import type { Look } from './announcements';
import { reasonOf } from './failures';
import { checkQuarantineInput } from './input-routing';
import { penalty, progress, quarantineEnded, release } from './messages';
import { NodeAway } from './node-away';
import { RoutingSteps } from './routing-steps';
import { Visibility } from './visibility';

/** Each stage of the return has to hold for so long. */
const STAGE_MS = 10_000;

/**
 * `superseded`: somebody else has taken the node over, and decides about its announcements.
 * `nothingToDo`: it announces no service.
 */
export interface QuarantineResult {
  outcome: 'released' | 'releasedByHand' | 'superseded' | 'nothingToDo';
  steps: RoutingStep[];
}

export async function quarantineNode(input: QuarantineInput): Promise<QuarantineResult> {
  const run = new Quarantine(checkQuarantineInput(input));
  setHandler(progress, () => run.steps.progress);
  setHandler(penalty, (later) => run.rises(later));
  setHandler(release, (hand) => run.freed(hand));
  const outcome = await run.all();
  run.steps.say(outcome);
  return { outcome, steps: run.steps.progress.steps };
}

class Quarantine {
  readonly steps: RoutingSteps;
  private byHand: ByHand | null = null;
  private untilMs: number;
  private readonly away: NodeAway;
  private readonly stageMs: number;

  constructor(private readonly input: QuarantineInput) {
    const { node, reason, untilMs, timings } = input;
    this.untilMs = untilMs;
    this.stageMs = timings?.stageMs ?? STAGE_MS;
    this.steps = new RoutingSteps(node, new Visibility(node));
    const by = workflowInfo().workflowId;
    this.away = new NodeAway(node, { reason, by, force: false }, this.steps, timings);
  }

  /** A signal sent by hand may hold anything. */
  rises(later: QuarantineInput): void {
    const untilMs: unknown = later?.untilMs;
    if (typeof untilMs === 'number') this.untilMs = Math.max(this.untilMs, untilMs);
  }

  freed(hand: ByHand): void {
    this.byHand = hand;
  }

  async all(): Promise<QuarantineResult['outcome']> {
    try {
      for (;;) {
        const look = await this.away.look();
        if (look.placed.services.length === 0) return 'nothingToDo';
        if (!(await this.begin())) return 'superseded';
        await this.lower(look);
        if ((await this.wait()) === 'again') continue;
        const ended = await this.end();
        if (ended !== 'relapsed') return ended;
      }
    } catch (error) {
      // A run that begins anew leaves as it came.
      if (error instanceof ContinueAsNew) throw error;
      await CancellationScope.nonCancellable(() =>
        isCancellation(error) ? this.cancelled() : this.away.abandon('quarantined'),
      );
      throw error;
    }
  }

  /** That is a release by hand as well, without its stages. */
  private async cancelled(): Promise<void> {
    this.byHand ??= { by: 'temporal', reason: 'the quarantine was cancelled' };
    await this.end(false);
  }

  /** False: the node is somebody else's, or not in service anyway. */
  private async begin(): Promise<boolean> {
    const phase = await this.away.phase();
    if (phase !== 'active' && phase !== 'quarantined') return false;
    return this.entered();
  }

  private async entered(): Promise<boolean> {
    try {
      await this.away.enter('quarantined');
      return true;
    } catch (error) {
      if (factsOf(error, 'PhaseConflict') === null) throw error;
      return false;
    }
  }

  private async lower(before: Look): Promise<void> {
    const { away, steps } = this;
    // A run that began anew.
    if (away.commanded(before) === 'withdraw') return away.release('done', 'quarantined');
    const { revision } = await away.command('deprefer');
    // From here on others may take it over.
    await away.release('done', 'quarantined');
    await away.followed('deprefer', revision);
    const look = await away.look();
    if (!(await away.moved(look))) return;
    // One more than the floor: this is not the last node that may flap.
    const short = floorReached(look.placed, look.picture, [this.input.node], 1);
    if (short !== null) {
      const evidence = `stays the last choice: ${floorText(short)}`;
      await steps.step('deprefer', 'headroom', async () => ({ evidence, verified: false }));
      return;
    }
    await this.withdraw();
  }

  /** Nobody holds the phase: a person may have brought the node back meanwhile, or while permits were waited for. */
  private async withdraw(): Promise<void> {
    const { away } = this;
    if ((await away.phase()) !== 'quarantined') return;
    try {
      const { revision } = await away.command('withdraw');
      const phase = await away.phase();
      if (phase === 'quarantined') await away.followed('withdraw', revision);
      else if (phase === 'active') await away.command('announce');
    } catch (error) {
      // Others were taken away meanwhile; the step says so.
      const bound = factsOf(error, 'FloorReached') ?? factsOf(error, 'PermitsOut');
      if (bound === null) throw error;
    }
  }

  /** `again`: a person has brought the node back meanwhile, and it flaps still. */
  private async wait(): Promise<'ended' | 'again'> {
    for (;;) {
      const untilMs = this.untilMs;
      const leftMs = untilMs - Date.now();
      if (this.byHand !== null || leftMs <= 0) return 'ended';
      this.steps.say('quarantined', { what: 'release', atMs: untilMs });
      const moved = (): boolean => this.byHand !== null || this.untilMs > untilMs;
      await condition(moved, leftMs);
      const rose = this.byHand === null && this.untilMs > untilMs;
      if (rose && (await this.away.phase()) === 'active') return 'again';
      // What was commanded is found again, and commanding it again writes nothing.
      if (workflowInfo().continueAsNewSuggested && this.byHand === null) {
        await continueAsNew<typeof quarantineNode>({ ...this.input, untilMs: this.untilMs });
      }
    }
  }

  private async end(staged = true): Promise<QuarantineResult['outcome'] | 'relapsed'> {
    const { away, byHand } = this;
    if ((await away.phase()) !== 'quarantined' || !(await this.entered())) return 'superseded';
    const look = await away.look();
    const notBefore = byHand === null ? away.notBefore(look) : null;
    if (notBefore !== null) {
      // Its last return is too young: a second one would look like a flap to every router.
      this.untilMs = notBefore;
      await away.release('done', 'quarantined');
      return 'relapsed';
    }
    await this.tell(byHand);
    try {
      const hold = staged ? () => this.holds() : async () => {};
      await away.back(look, { hold, patient: false });
      if (staged) await this.holds();
    } catch (error) {
      if (!(error instanceof Relapse)) throw error;
      this.byHand = null;
      return 'relapsed';
    }
    await away.release('done', 'active');
    return byHand === null ? 'released' : 'releasedByHand';
  }

  private async holds(): Promise<void> {
    const summary = 'the return holds';
    await this.steps.step('returning', summary, async () => {
      const again = await condition(() => this.untilMs > Date.now(), this.stageMs);
      if (again) throw new Relapse('it flaps again');
      return { evidence: `${this.stageMs} ms without a cause` };
    });
  }

  /** The life of the node goes on counting; a person's word forgives what was counted so far. */
  private async tell(hand: ByHand | null): Promise<void> {
    this.untilMs = 0;
    try {
      const lifecycle = getExternalWorkflowHandle(workflowId.lifecycle(this.input.node));
      await lifecycle.signal(quarantineEnded, hand);
    } catch (error) {
      if (isCancellation(error)) throw error;
      await this.steps.step('returning', 'telling the life of the node', async () => ({
        evidence: reasonOf(error),
        verified: false,
      }));
    }
  }
}

class Relapse extends Error {}
