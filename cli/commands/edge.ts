/** `aether edge`: the agent of this host, by its own socket; works without any control plane. */
import { status as grpcStatus } from '@grpc/grpc-js';
import type { Command } from 'commander';
import { EdgeLocalClient } from '../../adapters/edge-local/client';
import { plainWords } from '../../adapters/grpc/service';
import { formatDuration } from '../../core/model/duration';
import type { EdgeFilters, EdgeStatus, LocalFreeze } from '../../core/model/messages';
import { findingText } from '../../core/plan/types';
import { decisionText, standsBecause } from '../../core/repair/text';
import { examples, forMsOf, withJson } from '../cli';
import type { Cli, OutputFlags } from '../cli';
import { EDGE_SOCKET } from '../../lab/declare';
import { CliError, EXIT } from '../exit-codes';
import { details, statusOf } from '../grpc-errors';
import { ago, plural } from '../output';
import { toldIfSlow } from '../slow';
import { registerEdgeFilter, type WithAgent } from './edge-filter';
import { registerEdgeRouting } from './edge-routing';

interface EdgeFlags extends OutputFlags {
  socket?: string;
}

interface FreezeFlags extends EdgeFlags {
  for?: string;
  reason: string;
}

const withSocket = (command: Command): Command =>
  withJson(command).option(
    '--socket <path>',
    `socket of the agent (default: $AETHER_EDGE_SOCKET, ${EDGE_SOCKET})`,
  );

export function registerEdge(program: Command, cli: Cli): void {
  const edge = program
    .command('edge')
    .description('ask and stop the agent of this host, also without any control plane');
  const onSocket: WithAgent = (flags, verb) =>
    withAgent(flags.socket ?? cli.env['AETHER_EDGE_SOCKET'] ?? EDGE_SOCKET, cli.caller, verb);
  const call = async (
    flags: EdgeFlags,
    verb: (client: EdgeLocalClient) => Promise<EdgeStatus>,
  ): Promise<void> => {
    const status = await onSocket(flags, verb);
    cli.output(flags).result(status, () => describeEdge(status, Date.now()));
  };

  withSocket(edge.command('status'))
    .description('what the agent knows: accepted spec, differences, decisions, problems')
    .addHelpText('after', examples('aether edge status', 'aether edge status --json'))
    .action((flags: EdgeFlags) => call(flags, (client) => client.status()));

  withSocket(edge.command('freeze'))
    .description('stop repairs on this host; survives restarts of the agent')
    .option('--for <duration>', 'until then, as 30m (default: until unfrozen)')
    .option('--reason <text>', 'why; shown in status and explain', 'by hand')
    .addHelpText('after', examples('aether edge freeze --for 30m --reason "replacing the NIC"'))
    .action((flags: FreezeFlags) => {
      const forMs = forMsOf(flags.for);
      return call(flags, (client) => client.freeze(forMs, flags.reason));
    });

  withSocket(edge.command('unfreeze'))
    .description('let repairs go on')
    .addHelpText('after', examples('aether edge unfreeze'))
    .action((flags: EdgeFlags) => call(flags, (client) => client.unfreeze()));

  const commands = { edge, cli, withSocket, withAgent: onSocket };
  registerEdgeFilter(commands);
  registerEdgeRouting(commands);
}

async function withAgent<T>(
  socket: string,
  by: string,
  verb: (client: EdgeLocalClient) => Promise<T>,
): Promise<T> {
  using client = new EdgeLocalClient(socket, by);
  try {
    return await toldIfSlow(`Waiting for the agent on ${socket} …`, verb(client));
  } catch (error) {
    const code = statusOf(error);
    if (code === null) throw error;
    if (code === grpcStatus.INVALID_ARGUMENT) throw new CliError(EXIT.invalid, details(error));
    if (code === grpcStatus.INTERNAL) throw new CliError(EXIT.failed, details(error));
    throw new CliError(
      EXIT.unreachable,
      `The agent does not answer on ${socket}: ${details(error)}`,
      'Is this an edge host, does its agent run, and are you root? `aether doctor` looks.',
    );
  }
}

/** For people: how it stands, and why. */
export function describeEdge(status: EdgeStatus, nowMs: number): string {
  const { accepted, controller, budget, lastRepair, nextTimer } = status;
  const lines: [string, string][] = [
    ['node', `${status.node}, agent ${status.agentVersion}, start ${status.incarnation}`],
    [
      'accepted',
      accepted === null
        ? 'no spec yet'
        : `revision ${accepted.revision}, ${accepted.hash.slice(0, 12)}, ${accepted.phase}`,
    ],
    ['applied', status.appliedHash === null ? 'never verified' : status.appliedHash.slice(0, 12)],
    [
      'differences',
      status.findings.length === 0 ? 'none' : plural(status.findings.length, 'finding'),
    ],
    ...status.findings.map((finding): [string, string] => ['', `- ${findingText(finding)}`]),
    ...status.plan.map((step): [string, string] => ['', `→ ${step}`]),
    ...incidentLines(status, nowMs),
    ['frozen', frozenText(status, nowMs)],
    ...filterLines(status.filters, nowMs),
    ...routingLines(status.routing),
    ['budget', budgetText(budget)],
    [
      'last repair',
      lastRepair === null
        ? 'none'
        : `${ago(lastRepair.atMs, nowMs)} ago, ${lastRepair.outcome}, by the ${lastRepair.by} (${lastRepair.incidentId})`,
    ],
    [
      'next',
      nextTimer === null ? 'nothing by time' : `${nextTimer.what} in ${ago(nowMs, nextTimer.atMs)}`,
    ],
    ['controller', controller.connected ? (controller.address ?? 'connected') : absent(controller)],
    ['temporal', status.temporal.connected ? 'connected' : absent(status.temporal)],
    ...status.problems.map((problem): [string, string] => ['problem', problem]),
  ];
  return lines.map(([name, value]) => `${name.padEnd(13)} ${value}`).join('\n');
}

/** What is open, what was decided last, and why what differs is left as it is. */
function incidentLines(status: EdgeStatus, nowMs: number): [string, string][] {
  const { node, findings, frozen, incident, lastDecision, planHash } = status;
  const why = findings.length === 0 ? null : standsBecause(node, frozen, status);
  const lines: [string, string][] = [];
  if (why !== null) lines.push(['not repaired', why]);
  if (incident !== null) lines.push(['incident', `${incident}, plan ${planHash || 'none yet'}`]);
  if (lastDecision === null) return [...lines, ['last decision', 'none']];
  const { decision, atMs, incidentId } = lastDecision;
  const text = `${ago(atMs, nowMs)} ago, ${decisionText(decision)} (${incidentId})`;
  return [...lines, ['last decision', text]];
}

/** Of what a controller has frozen, the spec says no more than that. */
function frozenText({ frozen, freeze }: EdgeStatus, nowMs: number): string {
  const local = freeze == null ? 'local' : `local: ${freezeText(freeze, nowMs)}`;
  const scopes = Object.entries(frozen).flatMap(([scope, is]) => (is ? [scope] : []));
  return scopes.map((scope) => (scope === 'local' ? local : scope)).join('; ') || 'no';
}

function freezeText({ by, sinceMs, untilMs, reason }: LocalFreeze, nowMs: number): string {
  const until = untilMs === null ? 'until unfrozen' : `${ago(nowMs, untilMs)} more`;
  return `by ${by ?? 'root'} ${ago(sinceMs, nowMs)} ago, ${until} (${reason})`;
}

function budgetText({ used, attempts, perMs }: EdgeStatus['budget']): string {
  const per = perMs === 0 ? '' : ` in ${formatDuration(perMs)}`;
  return `${used} of ${attempts} repairs used${per}`;
}

const absent = ({ why }: { why?: string | null }): string =>
  `not connected${why == null ? '' : `: ${plainWords(why)}`}`;

function routingLines(routing: EdgeStatus['routing']): [string, string][] {
  if (routing === undefined) return [];
  const { services, neighbors, gobgpd, bfd } = routing;
  const up = neighbors.filter(({ state }) => state === 'established').length;
  return [
    ...services.map(({ service, stance, announced, why }): [string, string] => {
      const not = announced ? '' : ', not announced';
      return [
        'service',
        `${service} ${stance}${not}${why.length > 0 ? `: ${why.join('; ')}` : ''}`,
      ];
    }),
    ['bgp', `${up} of ${plural(neighbors.length, 'session')} established`],
    ...[gobgpd.problem, bfd.problem].flatMap((problem): [string, string][] =>
      problem === null ? [] : [['routing', problem]],
    ),
  ];
}

function filterLines(filters: EdgeFilters | undefined, nowMs: number): [string, string][] {
  if (filters === undefined) return [];
  const { interfaces, lists, overrides } = filters;
  return [
    ...interfaces.map(({ interface: name, wanted, held, problem }): [string, string] => {
      if (problem !== null) return ['filter', `${name} goes on with what it held: ${problem}`];
      const is = held !== null && held === wanted;
      return ['filter', `${name} ${is ? `holds ${held.slice(0, 12)}` : 'is being loaded'}`];
    }),
    ...lists.map(({ name, mode, wanted, held, chunksMissing }): [string, string] => {
      const lacking = `${plural(chunksMissing, 'chunk')} missing, ${held ?? 'nothing'} loaded`;
      const state = chunksMissing > 0 ? `, ${lacking}` : '';
      return ['list', `${name}, ${plural(wanted, 'prefix', 'prefixes')}, ${mode}${state}`];
    }),
    ...overrides.map(({ verdict, prefix, reason, untilMs }): [string, string] => {
      const until = untilMs === null ? '' : `, ${ago(nowMs, untilMs)} more`;
      return ['by hand', `${verdict} ${prefix}${until} (${reason})`];
    }),
  ];
}
