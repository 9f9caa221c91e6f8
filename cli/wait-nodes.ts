/** Waits until nodes are what they should be, and says how they come along. */
import { setTimeout as delay } from 'node:timers/promises';
import { parseDuration } from '../core/model/duration';
import type { NodeView } from '../core/model/views';
import type { AdminClient } from '../adapters/admin/client';
import { CliError, EXIT } from './exit-codes';
import type { Output } from './output';

const LOOK_EVERY_MS = 250;

/** What is drained or quarantined stays so, whatever is applied. */
const AT_REST: readonly NodeView['phase'][] = ['active', 'draining', 'quarantined'];

const isSettled = (view: NodeView): boolean => AT_REST.includes(view.phase) && view.converged;

export async function waitForNodes(
  client: AdminClient,
  names: readonly string[],
  timeout: string,
  out: Output,
): Promise<NodeView[]> {
  const timeoutMs = parseDuration(timeout);
  if (timeoutMs === null) {
    throw new CliError(EXIT.usage, `"${timeout}" is no duration`, 'Write it as 90s or 5m.');
  }
  const began = performance.now();
  const told = new Map<string, string>();
  for (;;) {
    const views = (await client.get()).filter(({ name }) => names.includes(name));
    const seconds = ((performance.now() - began) / 1000).toFixed(1).padStart(5);
    for (const view of views) {
      const line = stateOf(view);
      if (told.get(view.name) !== line) out.progress(`${seconds} s  ${view.name}: ${line}`);
      told.set(view.name, line);
    }
    const failed = views.find(({ onboardFailed }) => onboardFailed != null);
    if (failed !== undefined) throw notOnboarded(failed);
    if (views.length === names.length && views.every(isSettled)) return views;
    if (performance.now() - began > timeoutMs) throw tooLate(timeout, names, views);
    await delay(LOOK_EVERY_MS);
  }
}

function notOnboarded({ name, onboardFailed }: NodeView): CliError {
  return new CliError(
    EXIT.failed,
    `${name} was not onboarded: ${onboardFailed}`,
    `It is tried again when its agent connects, by an audit (aether audit), or when it is declared otherwise. See: aether explain node ${name}`,
  );
}

function stateOf(view: NodeView): string {
  if (isSettled(view)) return `${view.phase}, as it should be`;
  if (!view.connected) return 'waiting for its agent';
  if (view.phase === null) return 'not onboarded yet';
  if (view.phase === 'onboarding') return view.phase;
  return `${view.phase}${view.note === null ? '' : `, ${view.note}`}`;
}

function tooLate(timeout: string, names: readonly string[], views: readonly NodeView[]): CliError {
  const left = names.filter((name) => !views.some((view) => view.name === name && isSettled(view)));
  const state = (name: string): string => {
    const view = views.find((each) => each.name === name);
    return `${name} (${view === undefined ? 'gone' : stateOf(view)})`;
  };
  return new CliError(
    EXIT.timeout,
    `Not settled within ${timeout}: ${left.map(state).join(', ')}`,
    `The desired state is written and will go on being worked towards. See: aether explain node ${left[0] ?? ''}`,
  );
}
