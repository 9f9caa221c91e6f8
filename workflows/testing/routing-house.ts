/** What tests of drains, quarantines and failovers have in common, on top of a house. */
import assert from 'node:assert/strict';
import { WorkflowFailedError } from '@temporalio/client';
import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure, rootCause } from '@temporalio/common';
import type {
  DrainTimings,
  FailoverTimings,
  RoutingProgress,
} from '../../core/model/routing-messages';
import { messageNames } from '../../core/model/messages';
import type { House } from './house';
import { until } from './until';

/** Short enough for a test; what has to be waited for takes no longer than it takes. */
export const QUICK: Required<DrainTimings> = {
  followMs: 4_000,
  moveMs: 4_000,
  unseenMs: 20,
  quietMs: 150,
  quietLimitMs: 4_000,
};

export const FAILOVER_TIMINGS: FailoverTimings = {
  ...QUICK,
  holdDownMs: 300,
  stageMs: 100,
  settleMs: 100,
  lookMs: 300,
};

export const PRIMARY_AND_BACKUP = [
  { name: 'eu', weight: 1 },
  { name: 'us', weight: 0 },
];

/** Nodes with names of their own, active, all with one service; `regions`: of each in turn. */
export async function serving(
  house: House,
  service: string,
  regions: string[],
  change: Parameters<House['routing']['place']>[2] = {},
): Promise<string[]> {
  const nodes: string[] = [];
  for (const _ of regions) {
    const { node } = await house.node();
    await house.cluster.requestPhase(node, 'onboarding', 'a', null);
    await house.cluster.releasePhase(node, 'a', 'done', 'active');
    nodes.push(node);
  }
  const placed = nodes.map((node, i) => [node, regions[i] ?? '']);
  house.routing.place(service, Object.fromEntries(placed) as Record<string, string>, change);
  return nodes;
}

export async function failureOf(result: Promise<unknown>): Promise<Error> {
  const error: unknown = await result.then(
    () => null,
    (e: unknown) => e,
  );
  assert.ok(error instanceof WorkflowFailedError, String(error));
  assert.ok(error.cause instanceof Error);
  return error.cause;
}

export async function refusalOf(result: Promise<unknown>): Promise<ApplicationFailure> {
  const cause = await failureOf(result);
  assert.ok(cause instanceof ApplicationFailure, String(cause));
  return cause;
}

/** What a run came to; a failure says its reason, not that there is one. */
export async function endOf<R>(run: { result(): Promise<R> }): Promise<R> {
  return run.result().catch((error: unknown) => {
    assert.fail(error instanceof WorkflowFailedError ? String(rootCause(error)) : String(error));
  });
}

export const progressOf = (run: WorkflowHandle): Promise<RoutingProgress> =>
  run.query<RoutingProgress>(messageNames.progress);

export const inState = (run: WorkflowHandle, state: string): Promise<RoutingProgress> =>
  until(`${run.workflowId} is ${state}`, async () => {
    const now = await progressOf(run);
    return now.state === state && now;
  });

/** Holds the calls that match until the returned function is called. */
export function holdAt(
  house: House,
  matches: (call: string) => boolean,
): { reached: Promise<void>; free(): void } {
  let free = (): void => {};
  const released = new Promise<void>((done) => (free = done));
  let arrive = (): void => {};
  const reached = new Promise<void>((done) => (arrive = done));
  house.routing.before = async (call) => {
    if (!matches(call)) return;
    arrive();
    await released;
  };
  return { reached, free: () => free() };
}
