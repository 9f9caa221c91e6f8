/**
 * Brings a node up, stage by stage. Whatever stops it, cancellation included, everything is taken
 * back in reverse. The spec is retracted first: from then on the edge works towards nothing, so no
 * repair can fight the undo. What could not be taken back is an outcome of its own.
 *
 * Sessions and announcements are evidence, waited for a little: an upstream that is not there yet keeps no
 * host from being built, and what may be announced is decided by the edge's own proof.
 */
import {
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  patched,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import { factsOf } from '../core/model/errors';
import { workflowId, type NodeName } from '../core/model/ids';
import type { NodeInput } from '../core/model/messages';
import type { RoutingStep } from '../core/model/routing-messages';
import { STAGES } from '../core/plan/types';
import { reasonOf, refuse } from './failures';
import { checkNodeInput } from './input';
import { OnboardRouting } from './onboard-routing';
import { contendFor } from './proxies';
import { Saga, type Left } from './saga';
import { StagedWork } from './staged-work';

const EDGE_WAIT_MS = 600_000;

/** A removal lets go of the phase a moment after the node's keys, upon which it may be declared again. */
const REMOVAL_ENDS_MS = 30_000;
const REMOVAL_LOOK_MS = 1_000;

/** `alreadyActive`: nothing was done; a change of the spec takes the way of a repair. */
export type OnboardResult =
  /** `steps`: of sessions and announcements, where the node has any. */
  | { outcome: 'active'; revision: number; steps?: RoutingStep[] }
  | { outcome: 'alreadyActive'; revision: null };

export async function onboardNode(input: NodeInput): Promise<OnboardResult> {
  const { node, edgeWaitMs = EDGE_WAIT_MS } = checkNodeInput(input);
  const { workflowId: holder } = workflowInfo();
  const cluster = contendFor(node);
  const work = new StagedWork(node, cluster);
  const saga = new Saga();
  try {
    await enter(work, node);
    await work.accepted(edgeWaitMs);
    await work.all('reconcile', STAGES, (stage) => {
      saga.register(stage, () => work.all('remove', [stage]));
    });
    const routing = patched('routing') ? new OnboardRouting(node, work) : null;
    await routing?.sessions();
    // While the phase is ours: once it is active, a drain may command it.
    const early = routing !== null && patched('announce while onboarding');
    if (early) await routing.command();
    await cluster.releasePhase({ node, holder, outcome: 'done', next: 'active' });
    work.say('active', 'Done: the agent keeps it from here.');
    const steps = await routing?.announced(early);
    return { outcome: 'active', revision: work.revision, ...(steps ? { steps } : {}) };
  } catch (error) {
    const conflict = factsOf(error, 'PhaseConflict');
    if (conflict?.phase === 'active' && conflict.holder === null) {
      return { outcome: 'alreadyActive', revision: null };
    }
    // Somebody else holds the node: what is on it is theirs to decide.
    if (conflict !== null) throw refuse(conflict, reasonOf(error));
    return await CancellationScope.nonCancellable(async () => {
      work.say('undoing', `Taking everything back: ${reasonOf(error)}`);
      const left = await retract(work, saga, edgeWaitMs);
      const next = left.length === 0 ? null : 'decommissioning';
      await cluster.releasePhase({ node, holder, outcome: 'failed', next });
      work.say(left.length === 0 ? 'undone' : 'undoFailed', reasonOf(error));
      throw outcome(error, saga, left);
    });
  }
}

async function enter(work: StagedWork, node: NodeName): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += REMOVAL_LOOK_MS) {
    try {
      return await work.enter('onboarding');
    } catch (error) {
      const isRemoved = factsOf(error, 'PhaseConflict')?.holder === workflowId.decommission(node);
      if (!isRemoved || waitedMs >= REMOVAL_ENDS_MS || !patched('after its removal')) throw error;
      work.say('waiting', 'Waiting until its removal has let go of it.');
      // Cancelled meanwhile, it holds nothing: it ends as refused.
      const pause = sleep(REMOVAL_LOOK_MS, { summary: 'its removal ends' });
      await pause.catch(() => Promise.reject(error as Error));
    }
  }
}

/** Spec first, then the stages in reverse. A step that was never begun needs no edge. */
async function retract(work: StagedWork, saga: Saga, edgeWaitMs: number): Promise<Left[]> {
  if (saga.registered.length === 0) return [];
  try {
    await work.enter('decommissioning');
    await work.accepted(edgeWaitMs);
  } catch (error) {
    return saga.registered.map((what) => ({ what, why: reasonOf(error) }));
  }
  return saga.unwind();
}

function outcome(error: unknown, saga: Saga, left: Left[]): unknown {
  if (left.length === 0 && isCancellation(error)) return error;
  const reason = reasonOf(error);
  const undone = saga.registered.filter((what) => !left.some((l) => l.what === what)).reverse();
  const named = left.map(({ what, why }) => `${what} (${why})`).join(', ');
  return ApplicationFailure.create({
    type: left.length === 0 ? 'OnboardFailed' : 'UndoFailed',
    message:
      left.length === 0
        ? `Not onboarded, and everything taken back: ${reason}`
        : `Not onboarded: ${reason}. Still there: ${named}. Started again, it goes on from what is there.`,
    nonRetryable: true,
    details: [{ reason, undone, left }],
  });
}
