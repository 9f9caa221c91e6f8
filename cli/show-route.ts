/** Workflows of routing, for people: their steps, and the evidence of each. */
import type { RoutingStep } from '../core/model/routing-messages';
import type { RouteProgress } from '../core/model/views';
import { ago } from './output';
import type { Output } from './output';

const seconds = ({ startedAtMs, endedAtMs }: RoutingStep): string =>
  endedAtMs === null ? '' : ` in ${((endedAtMs - startedAtMs) / 1000).toFixed(1)} s`;

export function stepText(step: RoutingStep, out: Output): string {
  const { green, yellow, red, dim } = out.colours;
  const paint = { running: dim, done: green, unverified: yellow, failed: red, undone: yellow };
  const evidence = step.evidence === null ? '' : `: ${step.evidence}`;
  return `${paint[step.outcome](step.outcome.padEnd(10))} ${step.what}${seconds(step)}${evidence}`;
}

export function progressText(found: RouteProgress, out: Output, nowMs: number): string {
  const { workflowId, status, progress, failure } = found;
  if (failure !== null) return out.colours.red(failure.message);
  if (progress === null) return `${workflowId} is ${status}; it can't be asked now.`;
  const { subject, state, next } = progress;
  const then = next === null ? '' : `; ${next.what} in ${ago(nowMs, next.atMs)}`;
  const more = status === 'RUNNING' ? ` (workflow ${workflowId} goes on)` : '';
  return `${subject}: ${state}${then}${more}`;
}
