/** `aether get`, `describe`, `explain`: what is wanted, what is there, and why. */
import { stringify } from 'yaml';
import type { Command } from 'commander';
import type { AdminClient } from '../../adapters/admin/client';
import type { Kind } from '../../core/model/resources';
import { userForm } from '../../core/model/schema';
import type { NodeDescription, NodeExplanation, NodeView } from '../../core/model/views';
import { withAdmin } from '../admin';
import { examples, withServer } from '../cli';
import type { Cli, ServerFlags } from '../cli';
import { CliError, EXIT } from '../exit-codes';
import { ago, table } from '../output';
import type { Output } from '../output';
import { needKind } from '../kinds';
import { blocklistsTable, blocksTable, describeBlocklist } from '../show-blocklists';
import { describeService, servicesTable } from '../show-services';
import { heading, indented, workflowsTable } from '../show';
import { neighborsTable, penaltyLines } from '../show-routing';
import { describeEdge } from './edge';

/** How something is listed. */
interface Listing {
  get(client: AdminClient, name: string | undefined): Promise<unknown>;
  table(views: never, out: Output): string;
}

/** How a kind of resource is listed and described. */
interface KindCommands extends Listing {
  describe(client: AdminClient, name: string): Promise<unknown>;
  description(found: never, out: Output): string;
}

const COMMANDS: Readonly<Record<Kind, KindCommands>> = {
  Node: {
    get: (client, name) => client.get(name),
    table: nodesTable,
    describe: (client, name) => client.describe(name),
    description: describeNode,
  },
  Blocklist: {
    get: (client, name) => client.getBlocklists(name),
    table: blocklistsTable,
    describe: (client, name) => client.describeBlocklist(name),
    description: describeBlocklist,
  },
  AnycastService: {
    get: (client, name) => client.getServices(name),
    table: servicesTable,
    describe: (client, name) => client.describeService(name),
    description: describeService,
  },
};

const BLOCKS: Listing = {
  get: (client, prefix) => client.getBlocks(prefix),
  table: blocksTable,
};

const listingOf = (text: string): Listing =>
  /^blocks?$/i.test(text) ? BLOCKS : COMMANDS[needKind(text, ['blocks'])];

export function registerInspect(program: Command, cli: Cli): void {
  withServer(program.command('get'))
    .description('list nodes, blocklists, services, or what is blocked by hand')
    .argument('<kind>', 'nodes, blocklists, services, blocks')
    .argument('[name]', 'only this one')
    .addHelpText(
      'after',
      examples(
        'aether get nodes',
        'aether get nodes --json | jq .[].phase',
        'aether get blocklists',
        'aether get blocks 192.0.2.7',
      ),
    )
    .action(async (kind: string, name: string | undefined, flags: ServerFlags) => {
      const listing = listingOf(kind);
      const views = await withAdmin(cli, flags, (client) => listing.get(client, name));
      const out = cli.output(flags);
      out.result(views, () => listing.table(views as never, out));
    });

  withServer(program.command('describe'))
    .description('everything about a node, a blocklist or a service')
    .argument('<kind>', 'node, blocklist, service')
    .argument('<name>')
    .addHelpText('after', examples('aether describe node fra-1', 'aether describe blocklist bad'))
    .action(async (kind: string, name: string, flags: ServerFlags) => {
      const commands = COMMANDS[needKind(kind)];
      const found = await withAdmin(cli, flags, (client) => commands.describe(client, name));
      const out = cli.output(flags);
      out.result(found, () => commands.description(found as never, out));
    });

  withServer(program.command('explain'))
    .description('why a node is as it is: desired, observed, difference, last decision, next timer')
    .argument('<kind>', 'node')
    .argument('<name>')
    .addHelpText('after', examples('aether explain node fra-1'))
    .action(async (kind: string, name: string, flags: ServerFlags) => {
      if (needKind(kind) !== 'Node') {
        throw new CliError(
          EXIT.usage,
          'Only nodes are explained',
          `aether describe ${kind} ${name}`,
        );
      }
      const found = await withAdmin(cli, flags, (client) => client.explain(name));
      const out = cli.output(flags);
      out.result(found, () => explainNode(found, out));
    });
}

export function nodesTable(views: readonly NodeView[], out: Output): string {
  if (views.length === 0) return 'No nodes. Declare some: aether apply -f examples/lab';
  const { green, yellow, red } = out.colours;
  const state = (view: NodeView): string => {
    if (view.converged) return green('as it should be');
    if (!view.connected) return red('not connected');
    return yellow(view.findings === 0 ? 'not yet' : `${view.findings} differ`);
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

function describeNode(found: NodeDescription, out: Output): string {
  const nowMs = Date.now();
  const repairs = found.lifecycle?.repairs ?? [];
  return [
    nodesTable([found.view], out),
    ...(found.view.freezes ?? []).map((freeze) => `frozen ${freeze}`),
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
    ...routingLines(found, out, nowMs),
    heading(out, 'Workflows'),
    indented(workflowsTable(found.workflows, nowMs)),
  ].join('\n');
}

function routingLines(found: NodeDescription, out: Output, nowMs: number): string[] {
  const { routing, lifecycle } = found;
  const { status } = routing;
  const penalties = lifecycle === null ? [] : penaltyLines(lifecycle, out, nowMs);
  const held =
    penalties.length === 0 ? [] : [heading(out, 'Penalties'), indented(penalties.join('\n'))];
  if (status === null) return held;
  const { green, yellow } = out.colours;
  const services = status.services.map(({ service, stance, announced, sinceMs, why }) => [
    service,
    announced && stance === 'announce' ? green(stance) : yellow(stance),
    announced ? 'yes' : 'no',
    ago(sinceMs, nowMs),
    why.join('; '),
  ]);
  return [
    heading(out, 'Neighbours'),
    indented(neighborsTable([routing], out, nowMs)),
    heading(out, 'Services'),
    indented(
      services.length === 0
        ? 'none'
        : table(['SERVICE', 'STANCE', 'ANNOUNCED', 'SINCE', 'WHY'], services),
    ),
    ...held,
  ];
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
    ...(found.view.freezes ?? []).map((freeze) => line('frozen', freeze)),
    ...found.byHand.map((override) => line('by hand', override)),
    ...found.notAnnounced.map((service) => line('service', service)),
    line('last decision', found.lastDecision ?? 'none'),
    line('last repair', found.lastRepair ?? 'none'),
    line('next timer', found.nextTimer ?? 'none: the next look is an event or the audit'),
  ].join('\n');
}
