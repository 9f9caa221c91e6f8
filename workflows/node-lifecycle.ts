/**
 * The life of one node: the only one that grants phases, and where it is seen that a person is
 * needed; keeps the penalties of its upstreams and has a node that flaps quarantined. Wakes on signals
 * and updates only; a healthy node costs nothing.
 */
import {
  allHandlersFinished,
  condition,
  continueAsNew,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type {
  GrantPhase,
  LifecycleInput,
  LifecycleState,
  ReleasePhase,
} from '../core/model/messages';
import { checkLifecycleInput } from './input';
import { Lifecycle } from './lifecycle';
import { INITIAL } from './lifecycle-state';
import {
  grantPhase,
  quarantineEnded,
  releasePhase,
  repairEnded,
  routingEvents,
  state,
} from './messages';

export async function nodeLifecycle(input: LifecycleInput): Promise<LifecycleState> {
  const { node, carried } = checkLifecycleInput(input);
  const life = new Lifecycle(node, carried ?? INITIAL);
  setHandler(state, () => life.shown);
  setHandler(repairEnded, (ended) => life.record(ended));
  setHandler(routingEvents, (told) => life.routing(told));
  setHandler(quarantineEnded, (hand) => life.quarantineEnded(hand));
  setHandler(grantPhase, (grant) => life.grant(grant), {
    validator: (g: GrantPhase) => life.mayGrant(g),
  });
  setHandler(releasePhase, (r) => life.release(r), {
    validator: (r: ReleasePhase) => life.mayRelease(r),
  });
  life.show();

  await condition(
    () => (life.ended || workflowInfo().continueAsNewSuggested) && allHandlersFinished(),
  );
  if (life.ended) return life.state;
  return continueAsNew<typeof nodeLifecycle>({ node, carried: life.state });
}
