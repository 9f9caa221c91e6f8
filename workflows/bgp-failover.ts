/**
 * Moves a service away from a region that does not serve, and back: receivers announce, are seen at peers
 * and are enough; then the region is shut down gracefully and withdrawn; once it has been well for the
 * hold-down it returns, one node first. One run for a service; later evidence is signalled to it. From the
 * first evidence to the command that raises a backup it takes one local activity and one activity.
 *
 * Cancelled or failed it takes everything back, but never the receivers' announcements before the region
 * announces again.
 *
 * It may last, and begins anew by continue-as-new.
 */
import {
  ApplicationFailure,
  CancellationScope,
  ContinueAsNew,
  continueAsNew,
  isCancellation,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { refusalIn } from '../core/model/errors';
import type { FailoverInput, RoutingStep } from '../core/model/routing-messages';
import { FailoverNews } from './failover-news';
import { FailoverReturn } from './failover-return';
import { FailoverRun } from './failover-run';
import { reasonOf, refuse } from './failures';
import { checkFailoverInput } from './input-routing';
import { evidence, failBack, progress } from './messages';
import { RoutingSteps } from './routing-steps';
import { Visibility } from './visibility';

/** `returned`: all regions serve by their weight again. `nothingToDo`: none of them was taken away. */
export interface FailoverResult {
  outcome: 'returned' | 'nothingToDo';
  steps: RoutingStep[];
}

export async function bgpFailover(input: FailoverInput): Promise<FailoverResult> {
  const { service, carried } = checkFailoverInput(input);
  const steps = new RoutingSteps(service, new Visibility({ service }), carried?.steps);
  const news = new FailoverNews(input);
  setHandler(progress, () => steps.progress);
  setHandler(evidence, (told) => news.told(told));
  setHandler(failBack, (hand) => news.wanted(hand));
  const run = new FailoverRun(input, steps, news);
  try {
    const outcome = await follow(input, run, new FailoverReturn(run, steps, news));
    steps.say(outcome);
    return { outcome, steps: steps.progress.steps };
  } catch (error) {
    // A run that begins anew leaves as it came.
    if (error instanceof ContinueAsNew) throw error;
    const refused = refusalIn(error);
    if (refused !== null && !run.touched) throw refuse(refused.fact, refused.message);
    return await CancellationScope.nonCancellable(async () => {
      steps.say('undoing');
      const left = await run.takeBack();
      steps.say(left === null ? 'undone' : 'undoFailed');
      throw left === null && isCancellation(error) ? error : failed(error, left);
    });
  }
}

async function follow(
  input: FailoverInput,
  run: FailoverRun,
  back: FailoverReturn,
): Promise<FailoverResult['outcome']> {
  let moved = input.carried?.moved ?? false;
  if (input.carried === undefined && input.evidence.state === 'up') moved = await run.takeUp();
  for (;;) {
    const region = run.nextDown();
    if (region !== null) {
      moved = (await run.failOver(region)) || moved;
    } else if (run.isAway()) {
      await back.next();
    } else if (!(await run.settled(moved))) {
      return moved ? 'returned' : 'nothingToDo';
    }
    if (workflowInfo().continueAsNewSuggested) {
      await continueAsNew<typeof bgpFailover>({ ...input, carried: run.carry(moved) });
    }
  }
}

const failed = (error: unknown, left: string | null): ApplicationFailure =>
  ApplicationFailure.create({
    type: left === null ? 'FailoverFailed' : 'UndoFailed',
    message:
      left === null
        ? `Not failed over, and all is taken back: ${reasonOf(error)}`
        : `Not failed over: ${reasonOf(error)}. Not taken back: ${left}`,
    nonRetryable: true,
    details: [{ reason: reasonOf(error), left }],
  });
