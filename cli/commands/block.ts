/** `aether block`, `unblock`, `blocklist`: sources to be dropped, on all edges that it concerns. */
import type { Command } from 'commander';
import type { BlockAnswer } from '../../adapters/admin/proto';
import { formatPrefix } from '../../core/model/prefix';
import { parseSource } from '../../core/model/prefix-entry';
import type { FeedOutcome } from '../../core/model/views';
import { withAdmin } from '../admin';
import { durationOf, examples, forMsOf, withServer } from '../cli';
import type { Cli, ServerFlags } from '../cli';
import { EXIT } from '../exit-codes';
import { plural } from '../output';
import { selectorOf } from '../selector';
import { blockWritten, waitForNodes } from '../wait-nodes';
import { registerRehearse } from './rehearse';

interface BlockFlags extends ServerFlags {
  wait?: boolean;
  timeout: string;
  for?: string;
  reason: string;
  nodes?: string;
  force?: boolean;
}

const withBlock = (command: Command): Command =>
  withServer(command)
    .option('--wait', 'until every node that it concerns has it in force')
    .option('--timeout <duration>', 'how long to wait', '1m');

export function registerBlock(program: Command, cli: Cli): void {
  withBlock(program.command('block'))
    .description('drop all packets of a source, on every node or on those with these labels')
    .argument('<prefix>', 'as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32')
    .option('--for <duration>', 'until then, as 1h (default: until it is unblocked)')
    .option('--reason <text>', 'why; shown on the edges and in audit lines', 'by hand')
    .option('--nodes <labels>', 'only nodes with all of these, as tier=edge,region=eu')
    .option('--force', 'also a prefix so short that it is likely a slip')
    .addHelpText(
      'after',
      examples(
        'aether block 192.0.2.7 --for 1h --reason "flood" --wait',
        'aether block 2001:db8::/32 --for 1d --nodes tier=edge',
      ) + '\nWithout any control plane, on a host: aether edge block\n',
    )
    .action((prefix: string, flags: BlockFlags) => block(cli, prefix, true, flags));

  withBlock(program.command('unblock'))
    .description('end the block of exactly this prefix')
    .argument('<prefix>', 'as it was blocked')
    .option('--reason <text>', 'why; shown in audit lines', 'by hand')
    .addHelpText('after', examples('aether unblock 192.0.2.7'))
    .action((prefix: string, flags: BlockFlags) => block(cli, prefix, false, flags));

  registerBlocklist(program, cli);
}

async function block(cli: Cli, prefix: string, blocked: boolean, flags: BlockFlags): Promise<void> {
  const { reason, force = false, timeout } = flags;
  const forMs = forMsOf(flags.for);
  // Before anything is written.
  durationOf(timeout);
  const out = cli.output(flags);
  const request = { prefix, blocked, reason, forMs, nodes: selectorOf(flags.nodes), force };
  const answer = await withAdmin(cli, flags, async (client, look) => {
    const written = await client.block(request);
    if (flags.wait) {
      const source = parseSource(prefix);
      const name = source === null ? prefix : formatPrefix(source);
      await waitForNodes(look, [blockWritten(name, blocked, written)], timeout, out);
    }
    return written;
  });
  out.result({ prefix, blocked, ...answer }, () => {
    const until = flags.for === undefined ? '' : ` for ${flags.for}`;
    const what = blocked ? `${prefix} is blocked${until}` : `${prefix} is blocked no more`;
    return `${what}: ${flags.wait ? `${plural(answer.nodes.length, 'node')} so` : reach(answer)}.`;
  });
}

/** It is written, and no edge has said yet that it does so. */
function reach({ nodes, connected }: BlockAnswer): string {
  const away = nodes.filter((node) => !connected.includes(node));
  const told = `written, for ${plural(nodes.length, 'node')}`;
  if (away.length === 0) return `${told}, all connected`;
  return `${told}; not connected, and hearing of it when they are: ${away.join(', ')}`;
}

const prefixes = ({ count }: FeedOutcome): string =>
  count === null ? 'prefixes not counted' : plural(count, 'prefix', 'prefixes');

const WORDS: Record<FeedOutcome['outcome'], (result: FeedOutcome) => string> = {
  updated: (result) => `${prefixes(result)}: ${result.added} added, ${result.removed} removed.`,
  unchanged: (result) => `Unchanged, ${prefixes(result)}.`,
  kept: (result) =>
    `Not believed: ${result.problem}. The list before it stands (${prefixes(result)}).`,
  gone: () => 'The blocklist is gone, or has no feed any more.',
};

function registerBlocklist(program: Command, cli: Cli): void {
  const blocklist = program.command('blocklist').description('blocklists and their feeds');
  withServer(blocklist.command('refresh'))
    .description('load the feed of a blocklist now, instead of at its next time')
    .argument('<name>')
    .addHelpText('after', examples('aether blocklist refresh hijacked-networks'))
    .action(async (name: string, flags: ServerFlags) => {
      const answer = await withAdmin(cli, flags, (client) => client.refreshBlocklist(name));
      const { result, workflowId } = answer;
      cli
        .output(flags)
        .result(answer, () =>
          result === null
            ? `Still under way in the workflow ${workflowId}; see: aether describe blocklist ${name}`
            : [WORDS[result.outcome](result), ...result.notes].join('\n'),
        );
      if (result?.outcome === 'kept') process.exitCode = EXIT.failed;
    });
  registerRehearse(blocklist, cli);
}
