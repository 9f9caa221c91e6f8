/** The steps of a run as people see them: query `progress`, current details, the state in a search attribute. */
import { isCancellation } from '@temporalio/workflow';
import type { RoutingProgress, RoutingStep } from '../core/model/routing-messages';
import { routingDetails } from './details';
import { reasonOf } from './failures';
import type { Visibility } from './visibility';

export interface Evidence {
  evidence: string;
  /** False: nobody could say whether it is so, and the run goes on. */
  verified?: boolean;
}

/** Newest last; a failover that stays open for long would grow without end. */
const STEPS_KEPT = 40;

export class RoutingSteps {
  readonly progress: RoutingProgress;

  constructor(
    subject: string,
    private readonly visibility: Visibility,
    carried: RoutingStep[] = [],
  ) {
    this.progress = { subject, state: 'begun', steps: carried, next: null };
  }

  /** All that was done so far was verified. */
  get verified(): boolean {
    return this.progress.steps.every(({ outcome }) => outcome === 'done');
  }

  returns(): void {
    this.progress.returning = true;
  }

  say(state: string, next: RoutingProgress['next'] = null): void {
    this.progress.state = state;
    this.progress.next = next;
    this.visibility.show({ state }, routingDetails(this.progress));
  }

  async step<E extends Evidence>(state: string, what: string, run: () => Promise<E>): Promise<E> {
    const step: RoutingStep = {
      what,
      outcome: 'running',
      startedAtMs: Date.now(),
      endedAtMs: null,
      evidence: null,
    };
    this.progress.steps = [...this.progress.steps, step].slice(-STEPS_KEPT);
    this.say(state);
    try {
      const result = await run();
      step.evidence = result.evidence;
      step.outcome = result.verified === false ? 'unverified' : 'done';
      return result;
    } catch (error) {
      step.outcome = isCancellation(error) ? 'undone' : 'failed';
      step.evidence = isCancellation(error) ? 'cancelled' : reasonOf(error);
      throw error;
    } finally {
      step.endedAtMs = Date.now();
      this.say(state);
    }
  }
}
