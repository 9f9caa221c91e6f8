/** Failures of workflows, in the words that `activities/failures.ts` uses. */
import {
  ActivityFailure,
  ApplicationFailure,
  TimeoutFailure,
  rootCause,
} from '@temporalio/workflow';
import { refusalIn } from '../core/model/errors';
import type { RefusalFact } from '../core/model/errors';

/** Of a workflow it ends the run; of a validator it refuses the update. */
export const refuse = (fact: RefusalFact, message: string): ApplicationFailure =>
  ApplicationFailure.create({ type: fact.code, message, nonRetryable: true, details: [fact] });

/** One sentence for people: what is at the bottom of a failed activity. */
export function reasonOf(error: unknown): string {
  if (edgeAbsent(error)) return 'the edge is absent: nobody took the task off its queue';
  return refusalIn(error)?.message ?? rootCause(error) ?? String(error);
}

/** Nobody polled the edge's queue in time. */
export const edgeAbsent = (error: unknown): boolean =>
  error instanceof ActivityFailure &&
  error.cause instanceof TimeoutFailure &&
  error.cause.timeoutType === 'SCHEDULE_TO_START';

/** It was tried for as long as it might be; `reasonOf` says why it failed at last. */
export const timedOut = (error: unknown): boolean =>
  error instanceof ActivityFailure && error.cause instanceof TimeoutFailure;

/** Whoever withdraws now would lose packets. */
export const notMoved = (evidence: string, withinMs: number): ApplicationFailure =>
  ApplicationFailure.create({
    type: 'NotMoved',
    message: `The peers have not moved within ${withinMs} ms: ${evidence}`,
    nonRetryable: true,
  });
