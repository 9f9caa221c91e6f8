/** Pieces of what commands print for people. */
import type { WorkflowView } from '../core/model/views';
import { ago, table } from './output';
import type { Output } from './output';

export const heading = (out: Output, text: string): string => `\n${out.colours.bold(text)}`;

export const indented = (text: string): string => text.replace(/^/gm, '  ').trimEnd();

export function workflowsTable(workflows: readonly WorkflowView[], nowMs: number): string {
  if (workflows.length === 0) return 'none';
  return table(
    ['ID', 'TYPE', 'STATUS', 'STARTED'],
    workflows.map(({ id, type, status, startedAtMs }) => [
      id,
      type,
      status,
      `${ago(startedAtMs, nowMs)} ago`,
    ]),
  );
}
