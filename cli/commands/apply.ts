/** `aether plan` and `aether apply`: from files to the desired state in etcd. */
import type { Command } from 'commander';
import { issuesOf } from '../../adapters/admin/client';
import type { Change } from '../../adapters/admin/proto';
import type { NodeView } from '../../core/model/views';
import { withAdmin } from '../admin';
import { collect, durationOf, examples, withServer } from '../cli';
import type { Cli, ServerFlags } from '../cli';
import { CliError, EXIT } from '../exit-codes';
import { plural } from '../output';
import type { Output } from '../output';
import { fileIssue, invalid, needResources } from '../resources';
import type { Loaded } from '../resources';
import { waitForNodes, writtenOf } from '../wait-nodes';
import { FILE_OPTION } from './validate';
import type { FileFlags } from './validate';

type PlanFlags = FileFlags & ServerFlags & { exitCode?: boolean };
type ApplyFlags = FileFlags & ServerFlags & { wait?: boolean; timeout: string; force?: boolean };

export function registerApply(program: Command, cli: Cli): void {
  withServer(program.command('plan'))
    .description('show what an apply would change, in etcd and on each connected edge')
    .requiredOption(...FILE_OPTION, collect)
    .option('--exit-code', `end with ${EXIT.changes} where there are changes`)
    .addHelpText(
      'after',
      examples('aether plan -f examples/lab', 'aether plan -f nodes/ --exit-code'),
    )
    .action(async (flags: PlanFlags) => {
      const loaded = needResources(flags.file);
      const changes = await withAdmin(cli, flags, (client) =>
        placed(loaded, client.plan(loaded.map(({ resource }) => resource))),
      );
      const out = cli.output(flags);
      out.result(changes, () => describeChanges(changes, out));
      const some = changes.some(({ action }) => action !== 'none');
      if (flags.exitCode && some) process.exitCode = EXIT.changes;
    });

  withServer(program.command('apply'))
    .description('write the desired state; workflows bring the edges there')
    .requiredOption(...FILE_OPTION, collect)
    .option(
      '--wait',
      'wait until every node that it concerns is active (or drained, as before) and as it should be',
    )
    .option('--timeout <duration>', 'how long to wait', '3m')
    .option('--force', 'also where a service is left with fewer announcers than its floor')
    .addHelpText(
      'after',
      examples('aether apply -f examples/lab --wait', 'aether apply -f - < node.yaml'),
    )
    .action(async (flags: ApplyFlags) => {
      await apply(cli, flags);
    });
}

async function apply(cli: Cli, flags: ApplyFlags): Promise<void> {
  // Before anything is written.
  durationOf(flags.timeout);
  const loaded = needResources(flags.file);
  const resources = loaded.map(({ resource }) => resource);
  const out = cli.output(flags);
  const changes: Change[] = [];
  try {
    const nodes = await withAdmin(cli, flags, async (client, look) => {
      // Written against exactly what the plan saw: whoever wrote meanwhile is not overwritten.
      const planned = await placed(loaded, client.plan(resources));
      const expectedRevisions = planned.map(({ revision }) => revision);
      const written = await placed(
        loaded,
        client.apply(resources, expectedRevisions, flags.force ?? false),
      );
      changes.push(...written.map((each, i) => ({ ...each, notes: planned[i]?.notes ?? [] })));
      if (!flags.wait) return [];
      // Before the waiting: what is written is written, also where that ends badly.
      out.say(describeChanges(changes, out));
      return waitForNodes(look, writtenOf(resources, changes), flags.timeout, out);
    });
    out.result({ changes, nodes }, () =>
      flags.wait ? settledText(nodes) : describeChanges(changes, out),
    );
  } catch (error) {
    if (changes.length === 0 || !(error instanceof CliError)) throw error;
    const { exitCode, message, hint, facts } = error;
    throw new CliError(exitCode, message, hint, { changes, ...facts });
  }
}

function settledText(nodes: readonly NodeView[]): string {
  if (nodes.length === 0) return 'It concerns no node.';
  const active = nodes.filter(({ phase }) => phase === 'active');
  const resting = nodes.filter(({ phase }) => phase !== 'active');
  const others = resting.map(({ name, phase }) => `${name} (${phase})`).join(', ');
  const all = `${plural(active.length, 'node')} active and as it should be`;
  return resting.length === 0 ? `${all}.` : `${all}; not active, and as it should be: ${others}.`;
}

/** What the controller finds wrong with the resources is told with its place in their files. */
async function placed<T>(loaded: readonly Loaded[], answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    const issues = issuesOf(error).flatMap((issue) => {
      const source = loaded[issue.index];
      return source === undefined ? [] : [fileIssue(source.file, source.document, issue)];
    });
    throw issues.length === 0 ? error : invalid(issues);
  }
}

const SIGN = { create: '+', update: '~', none: '=' } as const;

export function describeChanges(changes: readonly Change[], out: Output): string {
  const { green, yellow, dim } = out.colours;
  const paint = { create: green, update: yellow, none: dim };
  return changes
    .flatMap(({ action, kind, name, revision, differences, steps, notes }) => [
      paint[action](`${SIGN[action]} ${kind} ${name}`) +
        dim(action === 'none' ? '  as it is' : revision === 0 ? '' : `  revision ${revision}`),
      ...differences.map((line) => `    ${line}`),
      ...steps.map((line) => dim(`    on the edge: ${line}`)),
      ...notes.map((line) => `    ${line}`),
    ])
    .join('\n');
}
