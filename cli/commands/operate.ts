/** `aether delete`, `audit`, `freeze`, `unfreeze`, `approve`, `status`: what operators do. */
import type { Command } from 'commander';
import { withAdmin } from '../admin';
import { examples, withServer } from '../cli';
import type { Cli, ServerFlags } from '../cli';
import { plural } from '../output';
import { statusText } from '../show-status';
import { needKind } from '../kinds';

export function registerOperate(program: Command, cli: Cli): void {
  registerDelete(program, cli);
  registerFreeze(program, cli);

  withServer(program.command('approve'))
    .description('let a proposed repair run; bound to the hash of that very plan')
    .argument('<node>')
    .argument('<plan-hash>', 'as `aether explain node` shows it')
    .addHelpText('after', examples('aether approve fra-1 3f1c0a…'))
    .action(async (node: string, hash: string, flags: ServerFlags) => {
      const approved = await withAdmin(cli, flags, (client) => client.approve(node, hash));
      cli
        .output(flags)
        .result(approved, () => `Approved: ${node} is repaired now (${approved.incidentId}).`);
    });

  withServer(program.command('audit'))
    .description('compare every node with its desired state now, instead of at the next audit')
    .addHelpText('after', examples('aether audit'))
    .action(async (flags: ServerFlags) => {
      const audit = await withAdmin(cli, flags, (client) => client.audit());
      cli
        .output(flags)
        .result(
          audit,
          () =>
            `The audit looks at ${plural(audit.nodes, 'node')} now (schedule ${audit.schedule}).`,
        );
    });

  withServer(program.command('status'))
    .description('the controllers, their servers, how many nodes')
    .addHelpText('after', examples('aether status', 'aether status --json'))
    .action(async (flags: ServerFlags) => {
      const status = await withAdmin(cli, flags, (client) => client.status());
      const out = cli.output(flags);
      out.result(status, () => statusText(status, out, Date.now()));
    });
}

type DeleteFlags = ServerFlags & { force?: boolean };

function registerDelete(program: Command, cli: Cli): void {
  withServer(program.command('delete'))
    .description(
      'take a node out: its edge is cleaned, then its key goes; or end a blocklist or a service',
    )
    .argument('<kind>', 'node, blocklist, service')
    .argument('<name>')
    .option(
      '--force',
      'a node: do not wait for its edge, it never comes back; a service: while it is announced',
    )
    .addHelpText('after', examples('aether delete node fra-1', 'aether delete blocklist bad'))
    .action(async (kind: string, name: string, flags: DeleteFlags) => {
      const force = flags.force ?? false;
      const deleted = await withAdmin(cli, flags, (client) =>
        client.delete(name, force, needKind(kind)),
      );
      const ends = {
        Node: '',
        Blocklist: '; its nodes stop blocking what was in it',
        AnycastService: '; its nodes take back what they announce of it',
      }[needKind(kind)];
      const by = deleted.workflowId;
      cli.output(flags).result(deleted, () => {
        if (by === '') return `${name} is gone${ends}.`;
        return force
          ? `${name} is being removed by the workflow ${by}. Its host is not touched.`
          : `${name} is being taken out by the workflow ${by}.`;
      });
    });
}

type FreezeFlags = ServerFlags & { reason: string };

function registerFreeze(program: Command, cli: Cli): void {
  const set = async (
    node: string | undefined,
    flags: FreezeFlags,
    frozen: boolean,
  ): Promise<void> => {
    const answer = await withAdmin(cli, flags, (client) =>
      client.freeze(node ?? null, frozen, flags.reason),
    );
    const whom = node ?? 'All nodes';
    cli
      .output(flags)
      .result({ node: node ?? null, frozen, ...answer }, () =>
        frozen ? `${whom}: repairs stop.` : `${whom}: repairs go on.`,
      );
  };
  withServer(program.command('freeze'))
    .description('stop repairs, on one node or on all')
    .argument('[node]', 'default: all')
    .option('--reason <text>', 'why; shown in explain and audit lines', 'by hand')
    .addHelpText('after', examples('aether freeze fra-1 --reason "NIC swap"', 'aether freeze'))
    .action((node: string | undefined, flags: FreezeFlags) => set(node, flags, true));
  withServer(program.command('unfreeze'))
    .description('let repairs go on, on one node or on all')
    .argument('[node]', 'default: the global switch')
    .option('--reason <text>', 'why', 'by hand')
    .addHelpText('after', examples('aether unfreeze fra-1'))
    .action((node: string | undefined, flags: FreezeFlags) => set(node, flags, false));
}
