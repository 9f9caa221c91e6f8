/**
 * Takes the announcements of one node away without losing a packet: last choice, peers moved, withdrawn,
 * counters quiet. Whatever stops it, cancellation included, the node stands again as it did before. With
 * `undo` (or the signal `undrain`) it brings them back, in stages.
 */
import {
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  setHandler,
} from '@temporalio/workflow';
import { factsOf } from '../core/model/errors';
import type { ByHand, DrainInput, RoutingStep } from '../core/model/routing-messages';
import { reasonOf, refuse } from './failures';
import { checkDrainInput } from './input-routing';
import { progress, undrain } from './messages';
import { NodeAway } from './node-away';
import { RoutingSteps } from './routing-steps';
import { Saga, type Left } from './saga';
import { Visibility } from './visibility';

/** `verified` false: some step could not be seen to have happened; the steps say which. */
export interface DrainResult {
  outcome: 'drained' | 'undrained';
  verified: boolean;
  steps: RoutingStep[];
}

export async function drainNode(input: DrainInput): Promise<DrainResult> {
  const { node, reason, by, undo = false, force = false, timings } = checkDrainInput(input);
  const steps = new RoutingSteps(node, new Visibility(node));
  const away = new NodeAway(node, { reason, by, force }, steps, timings);
  const going = new CancellationScope();
  let turned = undo;
  setHandler(progress, () => steps.progress);
  setHandler(undrain, (hand?: Partial<ByHand>) => {
    if (hand?.force === true) away.hurry();
    turned = true;
    going.cancel();
  });
  if (!turned) {
    try {
      await going.run(() => drain(away, steps));
      // Told to turn back when it had just come to its end, it does.
      if (!turned)
        return { outcome: 'drained', verified: steps.verified, steps: steps.progress.steps };
    } catch (error) {
      if (!turned || !isCancellation(error)) throw error;
    }
  }
  await undrained(away, steps);
  return { outcome: 'undrained', verified: steps.verified, steps: steps.progress.steps };
}

async function drain(away: NodeAway, steps: RoutingSteps): Promise<void> {
  const saga = new Saga();
  try {
    const look = await away.look();
    away.mayWithdraw(look);
    const before = { phase: (await away.phase()) ?? 'active', stance: away.commanded(look) };
    saga.register('phase', () => away.release('done', before.phase));
    await away.enter('draining');
    saga.register('announcements', async () => {
      const { revision } = await away.command(before.stance);
      await away.followed(before.stance, revision);
    });
    // One that is withdrawn already would be announced by it.
    if (before.stance !== 'withdraw') {
      const { revision } = await away.command('deprefer');
      await away.followed('deprefer', revision);
      await away.haveMoved(look);
    }
    const withdrawn = await away.command('withdraw');
    await away.followed('withdraw', withdrawn.revision);
    await away.gone(look);
    await away.quiet(look);
    await away.release('done', 'draining');
    steps.say('drained');
  } catch (error) {
    // Somebody else holds the node, or it is needed: nothing was done.
    const refused = factsOf(error, 'PhaseConflict') ?? factsOf(error, 'FloorReached');
    if (refused !== null && saga.registered.length < 2) throw refuse(refused, reasonOf(error));
    return await CancellationScope.nonCancellable(async () => {
      steps.say('undoing');
      const left = await saga.unwind();
      steps.say(left.length === 0 ? 'undone' : 'undoFailed');
      throw drainOutcome(error, left);
    });
  }
}

/** What is brought back is not taken away again by a failure: the next undrain goes on from there. */
async function undrained(away: NodeAway, steps: RoutingSteps): Promise<void> {
  steps.returns();
  const look = await away.look();
  await away.enter('draining');
  try {
    await away.back(look, { patient: true });
    await away.release('done', 'active');
    steps.say('active');
  } catch (error) {
    const outcome = isCancellation(error) ? 'done' : 'failed';
    await CancellationScope.nonCancellable(() => away.release(outcome, 'draining'));
    throw error;
  }
}

/** How a drain ends that did not come to its end. */
export function drainOutcome(error: unknown, left: Left[]): unknown {
  if (left.length === 0 && isCancellation(error)) return error;
  const reason = reasonOf(error);
  const floor = factsOf(error, 'FloorReached');
  if (left.length === 0 && floor !== null) {
    return refuse(floor, `Not drained, and it stands again as before: ${reason}`);
  }
  const named = left.map(({ what, why }) => `${what} (${why})`).join(', ');
  return ApplicationFailure.create({
    type: left.length === 0 ? 'DrainFailed' : 'UndoFailed',
    message:
      left.length === 0
        ? `Not drained, and it stands again as before: ${reason}`
        : `Not drained: ${reason}. Not taken back: ${named}. \`aether undrain\` goes on from there.`,
    nonRetryable: true,
    details: [{ reason, left }],
  });
}
