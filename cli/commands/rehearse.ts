/** `aether blocklist rehearse`: whom a list would cut off, before it goes live. */
import type { Command } from 'commander';
import type { AdminClient } from '../../adapters/admin/client';
import { overlaps, prefixSet, sizeOf } from '../../core/filter/algebra';
import { type SampledSources, TOP_MAX } from '../../core/filter/questions';
import type { PrefixSet } from '../../core/filter/types';
import type { NodeName } from '../../core/model/ids';
import { selects } from '../../core/model/selector';
import type { NodeView } from '../../core/model/views';
import { withAdmin } from '../admin';
import { readCandidate } from '../candidate';
import { examples, wholeNumber, withServer } from '../cli';
import type { Cli, ServerFlags } from '../cli';
import { CliError, EXIT } from '../exit-codes';
import {
  cutsAnybody,
  describeRehearsal,
  type FilterRehearsal,
  type ListRehearsal,
  type NodeRehearsal,
} from '../rehearsal-output';
import { selectorOf } from '../selector';

interface RehearseFlags extends ServerFlags {
  file: string;
  nodes?: string;
  limit: number;
  column: number;
  exitCode?: boolean;
}

/** Nodes that are asked at once. */
const AT_ONCE = 16;
/** Prefixes that are named because they meet what is spared, a filter and kind. */
const NAMED = 5;

export function registerRehearse(blocklist: Command, cli: Cli): void {
  withServer(blocklist.command('rehearse'))
    .description('whom a list would cut off, by the packets last sampled; nothing is changed')
    .requiredOption('-f, --file <path>', 'a Blocklist, or a feed: plain, CSV, JSON lines')
    .option('--nodes <labels>', 'nodes with all of these (default: those of the Blocklist, or all)')
    .option('--limit <n>', 'so many sources a filter', wholeNumber(1, TOP_MAX), 20)
    .option('--column <n>', 'of a feed in CSV, from 1', wholeNumber(1, 1_000), 1)
    .option('--exit-code', `end with ${EXIT.changes} where somebody would be cut off`)
    .addHelpText(
      'after',
      examples(
        'aether blocklist rehearse -f blocklist.yaml',
        'aether blocklist rehearse -f drop.txt --nodes tier=edge --exit-code',
      ),
    )
    .action((flags: RehearseFlags) => rehearse(cli, flags));
}

async function rehearse(cli: Cli, flags: RehearseFlags): Promise<void> {
  const named = flags.nodes === undefined ? null : selectorOf(flags.nodes);
  const { set, nodes, notes } = await readCandidate(flags.file, flags.column);
  const rehearsed = await withAdmin(cli, flags, async (client) => {
    const selector = named ?? nodes;
    const found = (await client.get()).filter(({ labels }) => selects(selector, labels));
    if (found.length === 0) throw new CliError(EXIT.notFound, 'No node has these labels');
    return rehearseAll(client, found, set, flags.limit);
  });
  const result: ListRehearsal = { count: sizeOf(set), notes, nodes: rehearsed };
  const out = cli.output(flags);
  out.result(result, () => describeRehearsal(result, out, Date.now()));
  if (flags.exitCode && cutsAnybody(result)) process.exitCode = EXIT.changes;
  else if (rehearsed.some(({ problem }) => problem !== null)) process.exitCode = EXIT.unreachable;
}

async function rehearseAll(
  client: AdminClient,
  nodes: readonly NodeView[],
  set: PrefixSet,
  limit: number,
): Promise<NodeRehearsal[]> {
  const done: NodeRehearsal[] = [];
  for (let at = 0; at < nodes.length; at += AT_ONCE) {
    const some = nodes.slice(at, at + AT_ONCE).map(({ name }) =>
      rehearseOn(client, name, set, limit).catch((error: Error) => ({
        node: name,
        problem: (error as { details?: string }).details ?? error.message,
        sampleEvery: 0,
        filters: [],
      })),
    );
    done.push(...(await Promise.all(some)));
  }
  return done;
}

/**
 * Only the prefixes that a sampled source lies in go to the edge: no other one could meet a sampled
 * packet, however long the list is.
 */
async function rehearseOn(
  client: AdminClient,
  node: NodeName,
  set: PrefixSet,
  limit: number,
): Promise<NodeRehearsal> {
  const sampled = await client.askFilter(node, { kind: 'sampled' });
  const { upTo, sampleEvery, filters } = sampled;
  const sources = prefixSet(filters.flatMap((filter) => filter.sources));
  const met = overlaps(set, sources, Infinity).map(({ prefix }) => prefix);
  const prefixes = [...new Set(met)];
  const question = { kind: 'rehearse', prefixes, upTo, limit } as const;
  const answer = await client.askFilter(node, question);
  const meets = new Map(filters.map((filter) => [filter.interface, meetsOf(set, filter)]));
  const rehearsed = answer.filters.map((filter) => ({
    ...filter,
    meets: meets.get(filter.interface) ?? [],
  }));
  return { node, problem: null, sampleEvery, filters: rehearsed };
}

function meetsOf(
  set: PrefixSet,
  { failsafe, allowed }: Pick<SampledSources, 'failsafe' | 'allowed'>,
): FilterRehearsal['meets'] {
  return [['failsafe', failsafe] as const, ['allowed', allowed] as const].flatMap(
    ([by, prefixes]) =>
      overlaps(set, prefixSet(prefixes), NAMED).map((overlap) => ({ ...overlap, by })),
  );
}
