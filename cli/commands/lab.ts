/** `aether lab`: a whole Aether on one machine. */
import { spawn } from 'node:child_process';
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { NoSuchLink, cut, cutsOf, heal } from '../../lab/cuts';
import type { Cut } from '../../lab/cuts';
import { ADMIN_SOCKET } from '../../lab/declare';
import { Lab, NoSuchHost, NoSuchProcess, stateDirOf } from '../../lab/lab';
import type { ProcessStatus } from '../../lab/lab';
import { isAlive } from '../../lab/identity';
import { down } from '../../lab/down';
import type { RouterKind } from '../../lab/routers';
import { ROOT } from '../../lab/tools';
import { SIM_EDGES_MAX, simStatus } from '../../lab/sim';
import { up } from '../../lab/up';
import { collect, defaultLab, examples, wholeNumber, isRoot } from '../cli';
import type { Cli } from '../cli';
import { CliError, EXIT } from '../exit-codes';
import { labStateDir, needRoot, openLab, ownOptions, withLab } from '../lab';
import type { LabFlags } from '../lab';
import { ago, plural, table } from '../output';
import { needResources, nodesOf } from '../resources';
import { registerFault, simulatedLines } from './lab-sim';

export const EXAMPLE_NODES = `${ROOT}/examples/lab`;

interface UpFlags extends LabFlags {
  controllers: number;
  etcd: number;
  nodes?: string[];
  routers?: RouterKind[];
  simEdges: number;
  log: string;
}

function routerKinds(text: string): RouterKind[] {
  return text.split(',').map((kind) => {
    if (kind === 'bird' || kind === 'frr') return kind;
    throw new InvalidArgumentError('bird or frr of each region, by commas.');
  });
}

export function registerLab(program: Command, cli: Cli): void {
  const lab = program
    .command('lab')
    .description('run a whole Aether on this machine: hosts as namespaces, real processes');

  registerUp(lab, cli);

  withLab(lab.command('status'))
    .description('show the hosts and processes of a lab')
    .addHelpText('after', examples('aether lab status'))
    .action(async (flags: LabFlags) => {
      await labStatus(cli, flags);
    });

  withLab(lab.command('exec'))
    .description(
      'run a command in the namespaces of a lab host (an edge, a router, the client, ctl-1 …)',
    )
    .argument('<host>')
    .argument('<command...>')
    .passThroughOptions()
    .addHelpText(
      'after',
      examples(
        'aether lab exec fra-1 -- ip -br link',
        'aether lab exec fra-1 -- bash',
        'aether lab exec --name mine ctl-1 -- aether get nodes',
      ),
    )
    .action(async (host: string, words: string[], before: LabFlags) => {
      const { flags, command } = ownOptions(before, words);
      process.exitCode = await labExec(cli, flags, host, command);
    });

  registerProcesses(lab, cli);
  registerCuts(lab, cli);
  registerFault(lab, cli);

  withLab(lab.command('down'))
    .description('take a lab away: no process, namespace, link, mount, pin or file of it is left')
    .addHelpText('after', examples('aether lab down', 'aether lab down --name mine'))
    .action(async (flags: LabFlags) => {
      needRoot('aether lab down');
      const ended = await down(labStateDir(flags));
      cli
        .output(flags)
        .result({ name: flags.name, endedProcesses: ended }, () =>
          ended === 0
            ? `No lab "${flags.name}" was up.`
            : `Gone: ${plural(ended, 'process', 'processes')} ended, nothing is left.`,
        );
    });
}

function registerUp(lab: Command, cli: Cli): void {
  withLab(lab.command('up'))
    .description('bring a lab up: etcd, Temporal, controllers, routers, one edge for each node')
    .option(
      '--controllers <n>',
      'number of controllers, which share the work',
      wholeNumber(1, 9),
      1,
    )
    .option('--etcd <n>', 'number of etcd members', wholeNumber(1, 9), 3)
    .option(
      '--nodes <path>',
      'file or directory of Node resources (default: examples/lab)',
      collect,
    )
    .option('--routers <kinds>', 'bird or frr of each region in turn, by commas', routerKinds)
    .option(
      '--sim-edges <n>',
      'simulated edges besides: real streams, certificates and plans on hosts in memory',
      wholeNumber(0, SIM_EDGES_MAX),
      0,
    )
    .option('--log <level>', 'log level of controllers and agents', 'info')
    .addHelpText(
      'after',
      examples(
        'aether lab up',
        'aether lab up --nodes my-nodes.yaml --name mine',
        'aether lab up --controllers 5 --sim-edges 2000 --log warn',
      ),
    )
    .action(async (flags: UpFlags) => {
      await labUp(cli, flags);
    });
}

function registerProcesses(lab: Command, cli: Cli): void {
  const whose = "as 'lab status' names it: ctl-1, etcd-2, agent@fra-1 …";
  withLab(lab.command('stop'))
    .description(
      'end a process of the lab at once, as kill -9 does, and keep it from being started',
    )
    .argument('<process>', whose)
    .addHelpText('after', examples('aether lab stop ctl-1', 'aether lab start ctl-1'))
    .action(async (name: string, flags: LabFlags) => {
      needRoot('aether lab stop');
      await inLab(() => openLab(flags).stop(name));
      cli
        .output(flags)
        .result(
          { process: name, state: 'stopped' },
          () => `${name}: stopped, until it is started.`,
        );
    });

  withLab(lab.command('start'))
    .description('start a process of the lab that was stopped')
    .argument('<process>', whose)
    .addHelpText('after', examples('aether lab start ctl-1'))
    .action(async (name: string, flags: LabFlags) => {
      needRoot('aether lab start');
      await inLab(() => openLab(flags).start(name));
      cli.output(flags).result({ process: name, state: 'running' }, () => `${name}: runs.`);
    });
}

function registerCuts(lab: Command, cli: Cli): void {
  withLab(lab.command('cut'))
    .description("let a link of the lab fail, at the router's end of it")
    .argument('<link>', "an edge for its uplink, REGION:REGION for a backbone; see 'lab status'")
    .option('--silent', 'packets vanish in both directions, nobody loses carrier (the default)')
    .addOption(
      new Option('--one-way <way>', 'nothing gets in to the edge, or out of it').choices([
        'in',
        'out',
      ]),
    )
    .option('--carrier', "the router's end goes down, the edge loses carrier")
    .addHelpText(
      'after',
      examples('aether lab cut fra-1', 'aether lab cut fra-1 --one-way out', 'aether lab heal'),
    )
    .action(async (link: string, flags: CutFlags) => {
      needRoot('aether lab cut');
      const how = cutOf(flags);
      await inLab(() => cut(openLab(flags), link, how));
      cli.output(flags).result({ link, cut: how }, () => `${link}: ${CUT_SAID[how]}.`);
    });

  withLab(lab.command('heal'))
    .description('make a link of the lab whole again, or all of them')
    .argument('[link]')
    .addHelpText('after', examples('aether lab heal fra-1', 'aether lab heal'))
    .action(async (link: string | undefined, flags: LabFlags) => {
      needRoot('aether lab heal');
      const opened = openLab(flags);
      const links = link === undefined ? [...(await cutsOf(opened)).keys()] : [link];
      for (const name of links) await inLab(() => heal(opened, name));
      cli
        .output(flags)
        .result({ healed: links }, () =>
          links.length === 0 ? 'No link is cut.' : `Whole again: ${links.join(', ')}.`,
        );
    });
}

type CutFlags = LabFlags & { silent?: boolean; oneWay?: 'in' | 'out'; carrier?: boolean };

const CUT_SAID: Readonly<Record<Cut, string>> = {
  silent: 'packets vanish in both directions',
  in: 'nothing gets in to it any more',
  out: 'nothing gets out of it any more',
  carrier: 'it has no carrier',
};

function cutOf({ silent, oneWay, carrier }: CutFlags): Cut {
  const wanted: Cut[] = [
    ...(silent ? (['silent'] as const) : []),
    ...(oneWay === undefined ? [] : [oneWay]),
    ...(carrier ? (['carrier'] as const) : []),
  ];
  const [how = 'silent', ...more] = wanted;
  if (more.length === 0) return how;
  throw new CliError(EXIT.usage, 'A link is cut in one way', 'Heal it first, or name one of them.');
}

/** What names something that the lab does not have ends with the exit code for that. */
async function inLab<T>(act: () => T | Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    const unknown = [NoSuchLink, NoSuchHost, NoSuchProcess].some((kind) => error instanceof kind);
    if (unknown) throw new CliError(EXIT.notFound, (error as Error).message);
    throw error;
  }
}

async function labUp(cli: Cli, flags: UpFlags): Promise<void> {
  needRoot('aether lab up');
  const out = cli.output(flags);
  const nodes = nodesOf(needResources(flags.nodes ?? [EXAMPLE_NODES]));
  const record = await up({
    name: flags.name,
    stateDir: labStateDir(flags),
    nodes,
    controllers: flags.controllers,
    etcds: flags.etcd,
    logLevel: flags.log,
    simEdges: flags.simEdges,
    ...(flags.routers === undefined ? {} : { routers: flags.routers }),
    progress: out.progress,
    ...toolsOption(cli),
  });
  out.result(record.endpoints, () =>
    [
      `The lab is up. Temporal's UI: ${record.endpoints.ui}`,
      ...(labStateDir(flags) === stateDirOf(defaultLab())
        ? []
        : [
            `Other verbs take --lab ${record.name} where several labs are up: it asks the first controller that answers. Of ctl-1 alone:`,
            `export AETHER_ADMIN_SOCKET=${new Lab(record).pathIn('ctl-1', ADMIN_SOCKET)}`,
          ]),
      `Next: aether apply -f ${flags.nodes?.join(' -f ') ?? 'examples/lab'} --wait`,
    ].join('\n'),
  );
}

/** AETHER_TOOLS_DIR: where etcd and temporal are, where not in `.tools/bin`. */
export function toolsOption(cli: Cli): { toolsDirectory?: string } {
  const directory = cli.env['AETHER_TOOLS_DIR'];
  return directory === undefined ? {} : { toolsDirectory: directory };
}

function processRow(status: ProcessStatus, nowMs: number): string[] {
  const { name, host, state, pid, startedAtMs, restarts, log } = status;
  return [
    name,
    host,
    state,
    String(pid ?? '-'),
    startedAtMs === null ? '-' : ago(startedAtMs, nowMs),
    String(restarts),
    log,
  ];
}

async function labStatus(cli: Cli, flags: LabFlags): Promise<void> {
  const lab = openLab(flags);
  const processes = lab.status();
  const { hosts, endpoints, supervisor, links } = lab.record;
  const cuts = isRoot() ? await cutsOf(lab) : new Map<string, Cut>();
  const view = {
    name: lab.record.name,
    stateDir: lab.stateDir,
    endpoints,
    supervisor: supervisor !== null && isAlive(supervisor),
    hosts: hosts.map(({ name, role, address, holder }) => ({
      name,
      role,
      address,
      alive: isAlive(holder),
    })),
    links: links.map(({ name, ends }) => ({
      name,
      between: ends.map(({ host }) => host),
      cut: cuts.get(name) ?? null,
      gone: !ends.every(({ host }) => lab.isUp(host)),
    })),
    processes,
    simulated: await simStatus(lab).catch(() => null),
  };
  cli.output(flags).result(view, () =>
    [
      `Temporal's UI  ${endpoints.ui}`,
      `Temporal gRPC  ${endpoints.temporal}`,
      ...(view.supervisor ? [] : ['The supervisor has ended; `aether lab up` starts it again.']),
      '',
      table(
        ['HOST', 'ROLE', 'ADDRESS', 'STATE'],
        view.hosts.map(({ name, role, address, alive }) => [
          name,
          role,
          address,
          alive ? 'up' : 'gone',
        ]),
      ),
      '',
      table(
        ['LINK', 'BETWEEN', 'STATE'],
        view.links
          .filter(({ name, cut: how }) => how !== null || !name.startsWith('mgmt:'))
          .map(({ name, between, cut: how, gone }) => [
            name,
            between.join(' and '),
            gone ? 'gone' : how === null ? 'whole' : CUT_SAID[how],
          ]),
      ),
      ...(view.simulated === null ? [] : ['', ...simulatedLines(view.simulated)]),
      '',
      table(
        ['PROCESS', 'HOST', 'STATE', 'PID', 'FOR', 'RESTARTS', 'LOG'],
        processes.map((process) => processRow(process, Date.now())),
      ),
    ].join('\n'),
  );
}

/** Runs with the caller's terminal; resolves with the command's exit code. */
async function labExec(
  cli: Cli,
  flags: LabFlags,
  host: string,
  command: string[],
): Promise<number> {
  needRoot('aether lab exec');
  const { argv, env } = await inLab(() => openLab(flags).command(host, command));
  const [file = '', ...args] = argv;
  const child = spawn(file, args, { stdio: 'inherit', env: { ...cli.env, ...env } });
  const ignore = (): void => undefined; // Ctrl-C is for the command; its end is ours.
  process.on('SIGINT', ignore);
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', (code, signal) => {
      process.off('SIGINT', ignore);
      done(code ?? (signal === null ? 1 : 128));
    });
  });
}
