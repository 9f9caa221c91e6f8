/** `aether edge drain|withdraw|undrain|services|bgp|bfd`: routing of this host, without any control plane. */
import { BfdClient } from '../../adapters/bfd/client';
import type { EdgeLocalClient } from '../../adapters/edge-local/client';
import type { RoutingStatus } from '../../core/model/routing';
import { examples, forMsOf, withJson } from '../cli';
import { CliError, EXIT } from '../exit-codes';
import { details, statusOf } from '../grpc-errors';
import { BFD_SOCKET } from '../../lab/declare';
import type { Output } from '../output';
import { describeBfd, describeBgp, describeStood } from '../routing-output';
import type { EdgeCommands, EdgeFlags } from './edge-filter';
import { toldIfSlow } from '../slow';

interface StandFlags extends EdgeFlags {
  for?: string;
  reason?: string;
}

export function registerEdgeRouting(commands: EdgeCommands): void {
  const { edge, withSocket } = commands;
  const timed = (name: string, what: string) =>
    withSocket(edge.command(name))
      .description(what)
      .argument('[service]', 'one service (default: all of this edge)')
      .option('--for <duration>', 'until then, as 1h (default: until it is taken back)')
      .option('--reason <text>', 'why; shown in status and explain', 'by hand');

  timed('drain', 'let peers prefer other edges: community 65535:0 and prepended; traffic goes on')
    .addHelpText('after', examples('aether edge drain --for 1h --reason "new kernel"'))
    .action((service: string | undefined, flags: StandFlags) =>
      stand(commands, 'deprefer', service, flags),
    );

  timed('withdraw', 'take the announcement back, at once and whatever the floor is')
    .addHelpText('after', examples('aether edge withdraw dns --reason "answers wrongly"'))
    .action((service: string | undefined, flags: StandFlags) =>
      stand(commands, 'withdraw', service, flags),
    );

  withSocket(edge.command('undrain'))
    .description('take back what `drain` or `withdraw` said; the spec and the proofs decide again')
    .argument('[service]', 'one service (default: all of this edge)')
    .addHelpText('after', examples('aether edge undrain'))
    .action((service: string | undefined, flags: StandFlags) =>
      stand(commands, 'announce', service, flags),
    );

  registerShow(commands);
}

async function stand(
  { cli, withAgent }: EdgeCommands,
  stance: string,
  service: string | undefined,
  flags: StandFlags,
): Promise<void> {
  const forMs = forMsOf(flags.for);
  const request = { service: service ?? '', stance, reason: flags.reason ?? '', forMs };
  const answer = await withAgent(flags, (client) => client.stand(request));
  if (!answer.effective) {
    throw new CliError(EXIT.conflict, `Not in force: ${answer.note}`, null, { ...answer });
  }
  cli.output(flags).result(answer, () => {
    const took = `In force after ${answer.tookMs.toFixed(0)} ms.`;
    const services = describeStood(answer.routing, Date.now());
    return [services, took, ...(answer.note === '' ? [] : [answer.note])].join('\n');
  });
}

function registerShow({ edge, cli, withSocket, withAgent }: EdgeCommands): void {
  const show = (
    name: string,
    what: string,
    pick: (routing: RoutingStatus) => unknown,
    render: (routing: RoutingStatus, out: Output) => string,
  ): void => {
    withSocket(edge.command(name))
      .description(what)
      .addHelpText('after', examples(`aether edge ${name}`))
      .action(async (flags: EdgeFlags) => {
        const routing = await withAgent(flags, routingOf);
        const out = cli.output(flags);
        out.result(pick(routing), () => render(routing, out));
      });
  };
  show(
    'services',
    'which services this host announces, and why not',
    ({ services }) => services,
    (routing) => describeStood(routing, Date.now()),
  );
  show(
    'bgp',
    'BGP neighbours of this host',
    ({ gobgpd, neighbors }) => ({ gobgpd, neighbors }),
    (routing, out) => describeBgp(routing, out, Date.now()),
  );

  withJson(edge.command('bfd'))
    .description('BFD sessions of this host; asks the bfd process itself, so it needs no agent')
    .option(
      '--socket <path>',
      `socket of the bfd process (default: $AETHER_BFD_SOCKET, ${BFD_SOCKET})`,
    )
    .addHelpText('after', examples('aether edge bfd'))
    .action(async (flags: EdgeFlags) => {
      const socket = flags.socket ?? cli.env['AETHER_BFD_SOCKET'] ?? BFD_SOCKET;
      using client = new BfdClient(socket);
      const asked = toldIfSlow(`Waiting for the bfd process on ${socket} …`, client.look());
      const report = await asked.catch((error: unknown) => {
        if (statusOf(error) === null) throw error;
        throw new CliError(
          EXIT.unreachable,
          `The bfd process does not answer on ${socket}: ${details(error)}`,
          'Is this an edge host with BGP, does aether-bfd run, and are you root?',
        );
      });
      const out = cli.output(flags);
      out.result(report, () => describeBfd(report, out, Date.now()));
    });
}

async function routingOf(client: EdgeLocalClient): Promise<RoutingStatus> {
  const { routing } = await client.status();
  if (routing !== undefined) return routing;
  throw new CliError(
    EXIT.conflict,
    'This edge neither speaks BGP nor serves anything.',
    'Give its Node a `bgp`, and a label that an AnycastService selects.',
  );
}
