/** `aether services`, `aether bgp neighbors`, `aether bfd sessions`: what is announced, by what sessions. */
import type { Command } from 'commander';
import type { NodeRoutingView } from '../../core/model/views';
import { withAdmin } from '../admin';
import { examples, withServer } from '../cli';
import type { Cli, ServerFlags } from '../cli';
import type { Output } from '../output';
import { neighborsTable, sessionsTable } from '../show-routing';
import { announcementsTable } from '../show-services';

export function registerRouting(program: Command, cli: Cli): void {
  withServer(program.command('services'))
    .description('who announces what, or why not, since when, and which router has it')
    .argument('[name]', 'only this service')
    .addHelpText('after', examples('aether services', 'aether services dns --json'))
    .action(async (name: string | undefined, flags: ServerFlags) => {
      const found = await withAdmin(cli, flags, async (client) => {
        const names = (await client.getServices(name)).map((view) => view.name);
        return Promise.all(names.map((each) => client.describeService(each)));
      });
      const out = cli.output(flags);
      out.result(found, () => announcementsTable(found, out));
    });

  const bgp = program.command('bgp').description('BGP sessions of the edges');
  inspect(bgp.command('neighbors').alias('sessions'), cli, neighborsTable)
    .description('neighbours: state, since when, held or not, and what is wrong')
    .addHelpText('after', examples('aether bgp neighbors', 'aether bgp neighbors fra-1'));

  const bfd = program.command('bfd').description('BFD sessions of the edges');
  inspect(bfd.command('sessions'), cli, sessionsTable)
    .description('sessions: state, negotiated timers, diagnostics, gaps and lateness')
    .addHelpText('after', examples('aether bfd sessions', 'aether bfd sessions fra-1 --json'));
}

type Show = (views: readonly NodeRoutingView[], out: Output, nowMs: number) => string;

const inspect = (command: Command, cli: Cli, show: Show): Command =>
  withServer(command)
    .argument('[node]', 'only of this one')
    .action(async (node: string | undefined, flags: ServerFlags) => {
      const views = await withAdmin(cli, flags, (client) => client.routing(node ?? null));
      const out = cli.output(flags);
      out.result(views, () => show(views, out, Date.now()));
    });
