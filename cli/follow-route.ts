/** Follows a workflow of routing, and says each step as it ends. */
import { setTimeout as delay } from 'node:timers/promises';
import type { RouteVerb } from '../adapters/admin/proto';
import type { RoutingStep } from '../core/model/routing-messages';
import type { RouteProgress } from '../core/model/views';
import type { Look } from './admin';
import { ago } from './output';
import type { Output } from './output';
import { stepText } from './show-route';

const LOOK_EVERY_MS = 300;
/** Without --wait: for a refusal, and to see it begin. */
const GLANCE_MS = 1_500;

export interface FollowOptions {
  wait: boolean;
  timeoutMs: number;
  verb: RouteVerb;
}

/** Where a workflow that goes on has done what was asked; `failed`: it could not, and tries again later. */
const RESTS: Partial<Record<RouteVerb, Readonly<Record<string, 'done' | 'failed'>>>> = {
  failover: { failedOver: 'done', holdDown: 'done', settling: 'done', nobodyTakesOver: 'failed' },
  failBack: { settling: 'done' },
  quarantine: { quarantined: 'done' },
};

/** Null: it is still on its way. */
export const restOf = ({ progress }: RouteProgress, verb: RouteVerb): 'done' | 'failed' | null =>
  RESTS[verb]?.[progress?.state ?? ''] ?? null;

export async function follow(
  look: Look,
  workflowId: string,
  { wait, timeoutMs, verb }: FollowOptions,
  out: Output,
): Promise<RouteProgress> {
  const endsAt = performance.now() + (wait ? timeoutMs : GLANCE_MS);
  const told = new Map<string, string>();
  for (;;) {
    const found = await look(endsAt, (client) => client.routeProgress(workflowId));
    tell(found.progress?.steps ?? [], told, out);
    tellNext(found, told, out);
    const ended = found.status !== 'RUNNING' || restOf(found, verb) !== null;
    if (ended || performance.now() > endsAt) return found;
    await delay(LOOK_EVERY_MS);
  }
}

/** What a workflow waits for is said once: nothing else may come for minutes. */
function tellNext({ progress }: RouteProgress, told: Map<string, string>, out: Output): void {
  if (progress?.next == null) return;
  const { what, atMs } = progress.next;
  const line = `${what} in ${ago(Date.now(), atMs)}`;
  if (told.get('next') !== what) out.progress(`${out.colours.dim('waiting'.padEnd(10))} ${line}`);
  told.set('next', what);
}

/** A step is said when it begins, and when it has ended. */
function tell(steps: readonly RoutingStep[], told: Map<string, string>, out: Output): void {
  for (const step of steps) {
    const key = `${step.startedAtMs} ${step.what}`;
    if (told.get(key) === step.outcome) continue;
    told.set(key, step.outcome);
    out.progress(stepText(step, out));
  }
}
