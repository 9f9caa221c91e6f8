/** `aether edge block|unblock|allow|filter`: the filters of this host, without any control plane. */
import type { Command } from 'commander';
import type { EdgeLocalClient } from '../../adapters/edge-local/client';
import { durationOf, examples, forMsOf, wholeNumber, type Cli, type OutputFlags } from '../cli';
import { CliError, EXIT } from '../exit-codes';
import { describeStats, describeTop } from '../filter-output';

export interface EdgeFlags extends OutputFlags {
  socket?: string;
}

interface OverrideFlags extends EdgeFlags {
  for?: string;
  reason?: string;
}

/** Runs `verb` against the agent of this host. */
export type WithAgent = <T>(
  flags: EdgeFlags,
  verb: (client: EdgeLocalClient) => Promise<T>,
) => Promise<T>;

export interface EdgeCommands {
  edge: Command;
  cli: Cli;
  withSocket(command: Command): Command;
  withAgent: WithAgent;
}

const DONE = { block: 'is blocked', allow: 'is spared', none: 'is as the spec says' } as const;

export function registerEdgeFilter(commands: EdgeCommands): void {
  const { edge, withSocket } = commands;
  const timed = (command: Command): Command =>
    withSocket(command)
      .argument('<prefix>', 'a source, as 192.0.2.7 or 2001:db8::/32')
      .option('--for <duration>', 'until then, as 1h (default: until it is taken back)')
      .option('--reason <text>', 'why; shown in status and explain', 'by hand');

  timed(edge.command('block'))
    .description('drop all packets of a source on this host, from now on; survives restarts')
    .addHelpText('after', examples('aether edge block 192.0.2.0/24 --for 1h --reason "flood"'))
    .action((prefix: string, flags: OverrideFlags) => override(commands, 'block', prefix, flags));

  timed(edge.command('allow'))
    .description('spare a source on this host, whatever the spec and the lists say')
    .addHelpText('after', examples('aether edge allow 192.0.2.7 --for 2h --reason "a customer"'))
    .action((prefix: string, flags: OverrideFlags) => override(commands, 'allow', prefix, flags));

  withSocket(edge.command('unblock'))
    .description('take back what `block` or `allow` said of exactly this prefix')
    .argument('<prefix>', 'as it was blocked or allowed')
    .addHelpText('after', examples('aether edge unblock 192.0.2.0/24'))
    .action((prefix: string, flags: OverrideFlags) => override(commands, 'none', prefix, flags));

  registerAsk(commands);
}

async function override(
  { cli, withAgent }: EdgeCommands,
  verdict: keyof typeof DONE,
  prefix: string,
  flags: OverrideFlags,
): Promise<void> {
  const forMs = forMsOf(flags.for);
  const request = { prefix, verdict, reason: flags.reason ?? '', forMs };
  const answer = await withAgent(flags, (client) => client.override(request));
  const { effective, note, tookMs } = answer;
  if (!effective) throw new CliError(EXIT.conflict, `Not in force: ${note}`, null, { ...answer });
  const until = forMs === 0 ? '' : ` for ${flags.for}`;
  const said = `${prefix} ${DONE[verdict]} on this host${until} (in force after ${tookMs.toFixed(1)} ms).`;
  cli.output(flags).result(answer, () => (note === '' ? said : `${said}\n${note}`));
}

type TopFlags = EdgeFlags & { since: string; limit: number };

function registerAsk({ edge, cli, withSocket, withAgent }: EdgeCommands): void {
  const filter = edge.command('filter').description('what the filters of this host hold and do');

  withSocket(filter.command('stats'))
    .description('packets and bytes by what became of them, prefixes, memory')
    .addHelpText('after', examples('aether edge filter stats'))
    .action(async (flags: EdgeFlags) => {
      const answer = await withAgent(flags, (client) => client.ask({ kind: 'stats' }));
      cli.output(flags).result(answer, () => describeStats(answer));
    });

  withSocket(filter.command('top'))
    .description('who is being dropped, by sampled packets')
    .option('--since <duration>', 'look back so far', '1m')
    .option('--limit <n>', 'so many lines', wholeNumber(1, 1000), 20)
    .addHelpText('after', examples('aether edge filter top --since 10m'))
    .action(async (flags: TopFlags) => {
      const sinceMs = Date.now() - durationOf(flags.since);
      const question = { kind: 'top', sinceMs, limit: flags.limit } as const;
      const answer = await withAgent(flags, (client) => client.ask(question));
      cli.output(flags).result(answer, () => describeTop(answer, Date.now()));
    });
}
