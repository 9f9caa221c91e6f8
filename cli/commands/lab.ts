/** `aether lab`: a whole Aether on one machine. */
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { Lab, NoSuchHost, stateDirOf } from '../../lab/lab';
import type { ProcessStatus } from '../../lab/lab';
import { isAlive } from '../../lab/identity';
import { down } from '../../lab/down';
import { readLab } from '../../lab/state';
import { ROOT } from '../../lab/tools';
import { up } from '../../lab/up';
import { DEFAULT_LAB, collect, defaultLab, examples, wholeNumber, withJson } from '../cli';
import type { Cli, OutputFlags } from '../cli';
import { CliError, EXIT } from '../exit-codes';
import { ago, plural, table } from '../output';
import { needResources, nodesOf } from '../resources';

export const EXAMPLE_NODES = `${ROOT}/examples/lab`;

interface LabFlags extends OutputFlags {
  name: string;
  state?: string;
}

const labStateDir = (flags: LabFlags): string =>
  flags.state === undefined ? stateDirOf(flags.name) : resolve(flags.state);

/** `up` makes the lab `default`; the other verbs mean the only one that is up, too. */
const withLab = (command: Command): Command =>
  withJson(command)
    .option(
      '--name <name>',
      'name of the lab; several may be up at once',
      command.name() === 'up' ? DEFAULT_LAB : defaultLab(),
    )
    .option('--state <dir>', 'state directory (default: /var/lib/aether/lab/<name>)');

export function needRoot(what: string): void {
  if (process.getuid?.() === 0) return;
  throw new CliError(EXIT.failed, `${what} needs root`, 'Run it with sudo.');
}

function openLab(flags: LabFlags): Lab {
  const stateDir = labStateDir(flags);
  const record = readLab(stateDir);
  if (record !== null) return new Lab(record);
  throw new CliError(EXIT.notFound, `No lab "${flags.name}" is up`, 'Bring it up: aether lab up');
}

interface UpFlags extends LabFlags {
  controllers: number;
  etcd: number;
  nodes?: string[];
  log: string;
}

export function registerLab(program: Command, cli: Cli): void {
  const lab = program
    .command('lab')
    .description('run a whole Aether on this machine: hosts as namespaces, real processes');

  withLab(lab.command('up'))
    .description('bring a lab up: etcd, Temporal, controllers, a router, one edge for each node')
    .option(
      '--controllers <n>',
      'number of controllers; one does all the work, more are for trials of a cluster',
      wholeNumber(1, 9),
      1,
    )
    .option('--etcd <n>', 'number of etcd members', wholeNumber(1, 9), 3)
    .option(
      '--nodes <path>',
      'file or directory of Node resources (default: examples/lab)',
      collect,
    )
    .option('--log <level>', 'log level of controllers and agents', 'info')
    .addHelpText(
      'after',
      examples('aether lab up', 'aether lab up --nodes my-nodes.yaml --name mine'),
    )
    .action(async (flags: UpFlags) => {
      await labUp(cli, flags);
    });

  withLab(lab.command('status'))
    .description('show the hosts and processes of a lab')
    .action((flags: LabFlags) => {
      labStatus(cli, flags);
    });

  withLab(lab.command('exec'))
    .description('run a command in the namespaces of a lab host (an edge, the router, ctl-1 …)')
    .argument('<host>')
    .argument('<command...>')
    .passThroughOptions()
    .addHelpText(
      'after',
      examples('aether lab exec fra-1 -- ip -br link', 'aether lab exec fra-1 -- bash'),
    )
    .action(async (host: string, command: string[], flags: LabFlags) => {
      // Behind the host's name everything is the command's own, so the separator arrives, too.
      const argv = command[0] === '--' ? command.slice(1) : command;
      process.exitCode = await labExec(cli, flags, host, argv);
    });

  withLab(lab.command('down'))
    .description('take a lab away: no process, namespace, link, mount, pin or file of it is left')
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
    progress: out.progress,
    ...toolsOption(cli),
  });
  out.result(record.endpoints, () =>
    [
      `The lab is up. Temporal's UI: ${record.endpoints.ui}`,
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

function labStatus(cli: Cli, flags: LabFlags): void {
  const lab = openLab(flags);
  const processes = lab.status();
  const { hosts, endpoints, supervisor } = lab.record;
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
    processes,
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
        ['PROCESS', 'HOST', 'STATE', 'PID', 'FOR', 'RESTARTS', 'LOG'],
        processes.map((process) => processRow(process, Date.now())),
      ),
    ].join('\n'),
  );
}

function commandIn(lab: Lab, host: string, command: string[]): ReturnType<Lab['command']> {
  try {
    return lab.command(host, command);
  } catch (error) {
    if (error instanceof NoSuchHost) throw new CliError(EXIT.notFound, error.message);
    throw error;
  }
}

/** Runs with the caller's terminal; resolves with the command's exit code. */
function labExec(cli: Cli, flags: LabFlags, host: string, command: string[]): Promise<number> {
  needRoot('aether lab exec');
  const { argv, env } = commandIn(openLab(flags), host, command);
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
