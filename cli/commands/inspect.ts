/** `aether get`, `describe`, `explain`: what is wanted, what is there, and why. */
import { stringify } from 'yaml';
import type { Command } from 'commander';
import { userForm } from '../../core/model/schema';
import type { NodeDescription, NodeExplanation, NodeView } from '../../core/model/views';
import { withAdmin } from '../admin';
import { examples, withServer } from '../cli';
import type { Cli, ServerFlags } from '../cli';
import { CliError, EXIT } from '../exit-codes';
import { ago, table } from '../output';
import type { Output } from '../output';
import { describeEdge } from './edge';

export function registerInspect(program: Command, cli: Cli): void {
  withServer(program.command('get'))
    .description('list nodes and how they are')
    .argument('<kind>', 'nodes')
    .argument('[name]', 'only this one')
    .addHelpText('after', examples('aether get nodes', 'aether get nodes --json | jq .[].phase'))
    .action(async (kind: string, name: string | undefined, flags: ServerFlags) => {
      needKind(kind);
      const views = await withAdmin(cli, flags, (client) => client.get(name));
      const out = cli.output(flags);
      out.result(views, () => nodesTable(views, out));
    });

  withServer(program.command('describe'))
    .description('everything about a node: resource, life, agent, workflows')
    .argument('<kind>', 'node')
    .argument('<name>')
    .action(async (kind: string, name: string, flags: ServerFlags) => {
      needKind(kind);
      const found = await withAdmin(cli, flags, (client) => client.describe(name));
      const out = cli.output(flags);
      out.result(found, () => describeNode(found, out));
    });

  withServer(program.command('explain'))
    .description('why a node is as it is: desired, observed, difference, last decision, next timer')
    .argument('<kind>', 'node')
    .argument('<name>')
    .addHelpText('after', examples('aether explain node fra-1'))
    .action(async (kind: string, name: string, flags: ServerFlags) => {
      needKind(kind);
      const found = await withAdmin(cli, flags, (client) => client.explain(name));
      const out = cli.output(flags);
      out.result(found, () => explainNode(found, out));
    });
}

export function needKind(kind: string): void {
  if (/^nodes?$/.test(kind)) return;
  throw new CliError(EXIT.usage, `"${kind}" is no kind of resource`, 'There are: nodes.');
}

export function nodesTable(views: readonly NodeView[], out: Output): string {
  if (views.length === 0) return 'No nodes. Declare some: aether apply -f examples/lab';
  const { green, yellow, red } = out.colours;
  const state = (view: NodeView): string => {
    if (view.converged) return green('as it should be');
    return view.connected ? yellow(`${view.findings} differ`) : red('not connected');
  };
  return table(
    ['NODE', 'REGION', 'PHASE', 'STATE', 'FROZEN', 'REVISION', 'NOTE'],
    views.map((view) => [
      view.name,
      view.region,
      view.deletionRevision === null ? (view.phase ?? '-') : `${view.phase ?? '-'} (deleting)`,
      state(view),
      view.frozen ? yellow('yes') : 'no',
      String(view.revision),
      view.note ?? '',
    ]),
  );
}

const heading = (out: Output, text: string): string => `\n${out.colours.bold(text)}`;

const indented = (text: string): string => text.replace(/^/gm, '  ').trimEnd();

function describeNode(found: NodeDescription, out: Output): string {
  const nowMs = Date.now();
  const repairs = found.lifecycle?.repairs ?? [];
  return [
    nodesTable([found.view], out),
    heading(out, 'Resource'),
    indented(stringify(userForm(found.resource))),
    heading(out, 'Agent'),
    indented(found.edge === null ? 'not connected' : describeEdge(found.edge, nowMs)),
    heading(out, 'Last repairs'),
    indented(
      repairs.length === 0
        ? 'none'
        : table(
            ['AGO', 'INCIDENT', 'DECISION', 'OUTCOME', 'BY', 'MS', 'FOUND'],
            repairs
              .slice(-10)
              .map((repair) => [
                ago(repair.atMs, nowMs),
                repair.incidentId,
                repair.decision,
                repair.outcome,
                repair.by,
                repair.repairedInMs === null ? '-' : repair.repairedInMs.toFixed(0),
                repair.findings.join(', '),
              ]),
          ),
    ),
    heading(out, 'Workflows'),
    indented(
      table(
        ['ID', 'TYPE', 'STATUS', 'STARTED'],
        found.workflows.map(({ id, type, status, startedAtMs }) => [
          id,
          type,
          status,
          `${ago(startedAtMs, nowMs)} ago`,
        ]),
      ),
    ),
  ].join('\n');
}

function explainNode(found: NodeExplanation, out: Output): string {
  const { bold } = out.colours;
  const { observed } = found;
  const line = (name: string, value: string): string => `${bold(name.padEnd(14))} ${value}`;
  const list = (values: readonly string[]): string[] =>
    values.map((value) => `${' '.repeat(15)}${value}`);
  const seen =
    observed === null
      ? 'unknown: the edge is not connected'
      : `revision ${observed.acceptedRevision ?? '-'}, applied ${observed.appliedHash?.slice(0, 12) ?? 'never'}, ` +
        `${ago(observed.atMs, Date.now())} ago`;
  return [
    line(
      'node',
      `${found.view.name} (${found.view.region}), ${found.view.phase ?? 'no phase yet'}`,
    ),
    line('desired', `revision ${found.desired.revision}, ${found.desired.hash.slice(0, 12)}`),
    ...list(found.desired.summary),
    line('observed', seen),
    line('difference', found.difference[0] ?? out.colours.green('none')),
    ...list(found.difference.slice(1)),
    ...(found.whyNot === null ? [] : [line('not repaired', found.whyNot)]),
    line('last decision', found.lastDecision ?? 'none'),
    line('last repair', found.lastRepair ?? 'none'),
    line('next timer', found.nextTimer ?? 'none: the next look is an event or the audit'),
  ].join('\n');
}
