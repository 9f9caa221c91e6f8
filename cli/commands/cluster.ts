/** `aether members`, `aether ring`, `aether controller drain`: the cluster of controllers. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { withAdmin } from '../admin';
import { examples, withServer } from '../cli';
import type { Cli, ServerFlags } from '../cli';
import { CliError, EXIT } from '../exit-codes';
import { plural } from '../output';
import { membersTable, ringText } from '../show-cluster';

const ASK_EVERY_MS = 250;
const TOTAL_MS = 60_000;

export function registerCluster(program: Command, cli: Cli): void {
  withServer(program.command('members'))
    .description(
      'the controllers: who has a lease, what each owns, and how the one that answers hears them by gossip',
    )
    .addHelpText('after', examples('aether members'))
    .action(async (flags: ServerFlags) => {
      const views = await withAdmin(cli, flags, (client) => client.members());
      const out = cli.output(flags);
      out.result(views, () => membersTable(views, out, Date.now()));
    });

  withServer(program.command('ring'))
    .description('the map of shards to controllers: owners, epoch, movements, imbalance')
    .option('--shards', 'every shard as well, with its owner and fence')
    .addHelpText('after', examples('aether ring', 'aether ring --shards', 'aether ring --json'))
    .action(async (flags: ServerFlags & { shards?: boolean }) => {
      const view = await withAdmin(cli, flags, (client) => client.ring());
      const out = cli.output(flags);
      out.result(view, () => ringText(view, out, Date.now(), flags.shards ?? false));
    });

  const controller = program.command('controller').description('one of the controllers');
  withServer(controller.command('drain'))
    .description('have the others take its shards, and wait until it holds none')
    .argument('<id>', 'as `aether members` names it')
    .option('--no-wait', 'do not wait')
    .addHelpText('after', examples('aether controller drain ctl-2'))
    .action((id: string, flags: ServerFlags & { wait: boolean }) => drain(cli, id, flags));
  withServer(controller.command('undrain'))
    .description('give it shards again; a controller that is started anew needs no undrain')
    .argument('<id>', 'as `aether members` names it')
    .addHelpText('after', examples('aether controller undrain ctl-2'))
    .action(async (id: string, flags: ServerFlags) => {
      const [former, answer] = await withAdmin(cli, flags, async (client) => [
        (await client.members()).find((view) => view.id === id),
        await client.drainController(id, false),
      ]);
      cli
        .output(flags)
        .result({ controller: id, draining: false, ...answer }, () =>
          former?.draining === false ? `${id} did not drain.` : `${id} takes part again.`,
        );
    });
}

async function drain(cli: Cli, id: string, flags: ServerFlags & { wait: boolean }): Promise<void> {
  const out = cli.output(flags);
  await withAdmin(cli, flags, async (client, look) => {
    let { holds } = await client.drainController(id, true);
    const endsAt = performance.now() + TOTAL_MS;
    let told = 0;
    while (flags.wait && holds > 0) {
      if (holds !== told) out.progress(`${id} holds ${plural(holds, 'shard')}`);
      told = holds;
      if (performance.now() > endsAt) {
        const hint = 'Look at: aether ring';
        throw new CliError(EXIT.timeout, `${id} still holds ${plural(holds, 'shard')}.`, hint);
      }
      await sleep(ASK_EVERY_MS);
      const views = await look(endsAt, (asked) => asked.members());
      holds = views.find((view) => view.id === id)?.holds ?? 0;
    }
    out.result({ controller: id, draining: true, holds }, () =>
      holds === 0 ? `${id} holds no shard.` : `${id} drains: it holds ${plural(holds, 'shard')}.`,
    );
  });
}
