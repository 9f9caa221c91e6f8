/**
 * The one place where refusals of ports become Temporal failures: `type` is the code of the refusal,
 * `details[0]` its facts. Anything else passes as it is and is retried by the policy of the caller.
 */
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { RETRYABLE, refusalIn } from '../core/model/errors';
import type { RefusalCode, RefusalFact } from '../core/model/errors';
import { DNS_LABEL } from '../core/model/ids';

const create = (fact: RefusalFact, message: string): ApplicationFailure =>
  ApplicationFailure.create({
    type: fact.code,
    message,
    nonRetryable: !RETRYABLE[fact.code],
    details: [fact],
  });

function toFailure(error: unknown): unknown {
  const refusal = refusalIn(error);
  return refusal === null ? error : create(refusal.fact, refusal.message);
}

export function assertInput(problems: Record<string, boolean>): void {
  const found = Object.keys(problems).filter((problem) => problems[problem]);
  if (found.length > 0) {
    throw create({ code: 'InvalidInput', problems: found }, `Invalid input: ${found.join('; ')}.`);
  }
}

export const badNode = (node: unknown): boolean =>
  typeof node !== 'string' || !DNS_LABEL.test(node);

const BEAT_MS = 1_000;

/**
 * One call of a port. It beats while the call lasts, so that a dead worker is noticed and a
 * cancellation heard; what is under way is never torn: cancelled calls end by themselves.
 */
export async function callPort<T>(call: (cancelled: AbortSignal) => Promise<T>): Promise<T> {
  const context = Context.current();
  const timer = setInterval(() => context.heartbeat(), BEAT_MS);
  try {
    return await call(context.cancellationSignal);
  } catch (error) {
    if (context.cancellationSignal.aborted) return await context.cancelled;
    throw toFailure(error);
  } finally {
    clearInterval(timer);
  }
}

/** What others have to do first may never come: after so many attempts it is a refusal like any other. */
export async function insist<T>(
  code: RefusalCode,
  attempts: number,
  call: () => Promise<T>,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const refusal = refusalIn(error);
    if (refusal?.fact.code !== code || Context.current().info.attempt < attempts) throw error;
    throw ApplicationFailure.nonRetryable(refusal.message, code, refusal.fact);
  }
}

/** For the answer to travel, and for clocks that differ. */
const MARGIN_MS = 1_000;

/**
 * Aborted shortly before the server gives up on the activity that begins now. What ends by then says
 * why; a timeout tells nobody anything.
 */
export function beforeTimeout(): AbortSignal {
  const { scheduledTimestampMs, scheduleToCloseTimeoutMs, startToCloseTimeoutMs } =
    Context.current().info;
  const attemptMs = startToCloseTimeoutMs || Infinity;
  const totalMs = scheduleToCloseTimeoutMs || Infinity;
  const leftMs = Math.min(attemptMs, scheduledTimestampMs + totalMs - Date.now());
  return AbortSignal.timeout(Math.max(0, Math.floor(leftMs - Math.min(MARGIN_MS, leftMs / 2))));
}
