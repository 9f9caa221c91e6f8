/**
 * Takes a node away: its announcements first, without loss where that can be; then the edge works towards the empty spec, stage by
 * stage in reverse, verifies that all is gone, then the keys go. It never gives up: an absent edge is waited for, and the run says
 * so; it may wait for long, and begins anew by continue-as-new.
 */
import {
  CancellationScope,
  ContinueAsNew,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  patched,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { Phase } from '../core/model/edge-spec';
import { workflowId } from '../core/model/ids';
import type { NodeInput } from '../core/model/messages';
import { STAGES } from '../core/plan/types';
import type { Look } from './announcements';
import { reasonOf, refuse } from './failures';
import { checkNodeInput } from './input';
import { NodeAway } from './node-away';
import { clusterOf } from './proxies';
import { RoutingSteps } from './routing-steps';
import { StagedWork } from './staged-work';

export interface DecommissionResult {
  outcome: 'removed' | 'absent';
}

/** In these, it may announce; a node that is being onboarded does not. */
const SERVING: ReadonlySet<Phase> = new Set(['active', 'draining', 'quarantined'] as const);

/** Nobody waits for the removal of a node: but not for ever for what does not come. */
const DRAIN = { followMs: 10_000, moveMs: 10_000, quietMs: 2_000, quietLimitMs: 20_000 };

const BACKOFF_MS = 5_000;
const BACKOFF_MAX_MS = 600_000;

export async function decommissionNode(input: NodeInput): Promise<DecommissionResult> {
  const { node, force = false } = checkNodeInput(input);
  const { workflowId: holder } = workflowInfo();
  const cluster = clusterOf(node);
  const { nodeRevision, deletionRevision, phase } = await cluster.desired({ node });
  if (nodeRevision === null && phase === null) return { outcome: 'absent' };
  if (nodeRevision !== null && deletionRevision === null && !force) {
    const message = `${node} is not marked for deletion: use \`aether delete node ${node}\`.`;
    throw refuse({ code: 'NotMarkedForDeletion', node }, message);
  }
  // A deletion is the last word: whoever is at work on the node is told to stop. Who holds the phase is waited for when it is
  // asked for; a repair is not: the edge does one thing at a time, and takes nothing by an older revision.
  await Promise.all([stop(workflowId.onboard(node)), stop(workflowId.repair(node))]);
  const routed = patched('routing');
  if (routed) await Promise.all([stop(workflowId.drain(node)), stop(workflowId.quarantine(node))]);
  const work = new StagedWork(node, cluster);
  if (routed && !force && phase !== null && SERVING.has(phase)) {
    await drainFirst(work, input, phase);
  }
  try {
    await work.enter('decommissioning');
    if (!force && nodeRevision !== null) await untilDone(work, input, () => takeAway(work));
    await cluster.removeNode({ node, force, deletionRevision });
    await cluster.releasePhase({ node, holder, outcome: 'done', next: null });
    work.say('removed', 'Done: nothing of it is left.');
    return { outcome: 'removed' };
  } catch (error) {
    if (!isCancellation(error)) throw error;
    const next = 'decommissioning';
    await CancellationScope.nonCancellable(() =>
      cluster.releasePhase({ node, holder, outcome: 'failed', next }),
    );
    throw error;
  }
}

/** The deletion is a person's word, so no floor keeps it; `aether plan` has told of it. */
async function drainFirst(work: StagedWork, input: NodeInput, phase: Phase): Promise<void> {
  const { node } = input;
  const steps = new RoutingSteps(node, work.visibility);
  const wish = { reason: 'the node is being removed', by: workflowInfo().workflowId, force: true };
  const away = new NodeAway(node, wish, steps, DRAIN);
  const before = await away.look();
  if (before.placed.services.length === 0) return;
  // A drain or a quarantine that was told to stop has ended by then.
  await work.enter('draining');
  let look: Look | null = before;
  const attempt = async (): Promise<void> => {
    const now: Look = look ?? (await away.look());
    look = null;
    if (now.placed.services.length > 0) await drain(away, now);
  };
  try {
    await untilDone(work, input, attempt, () => !patched('drained until done'));
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    await CancellationScope.nonCancellable(async () => {
      await away.command(away.commanded(before));
      await away.release('failed', phase);
    });
    throw error;
  }
}

async function drain(away: NodeAway, look: Look): Promise<void> {
  if (away.commanded(look) !== 'withdraw') {
    const { revision } = await away.command('deprefer');
    if (await away.followed('deprefer', revision)) await away.moved(look);
  }
  const withdrawn = await away.command('withdraw');
  if (await away.followed('withdraw', withdrawn.revision)) await away.quiet(look);
}

async function takeAway(work: StagedWork): Promise<void> {
  await work.accepted(null);
  await work.all('remove', [...STAGES].reverse());
  await work.verify();
}

/** `once`: the first failure is the last, of runs that a former version began. */
async function untilDone(
  work: StagedWork,
  input: NodeInput,
  attempt: () => Promise<void>,
  once: () => boolean = () => false,
): Promise<void> {
  for (let backoffMs = BACKOFF_MS; ; backoffMs = Math.min(2 * backoffMs, BACKOFF_MAX_MS)) {
    try {
      return await attempt();
    } catch (error) {
      if (isCancellation(error) || once()) throw error;
      work.say('waiting', `Trying again in ${backoffMs / 1_000} s: ${reasonOf(error)}`);
      await sleep(backoffMs, { summary: 'before the next attempt' });
      // Nothing has to be carried: whatever is left is found again.
      if (workflowInfo().continueAsNewSuggested)
        await continueAsNew<typeof decommissionNode>(input);
    }
  }
}

async function stop(id: string): Promise<void> {
  try {
    await getExternalWorkflowHandle(id).cancel();
  } catch {
    // It was not running.
  }
}
