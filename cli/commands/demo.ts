/** `aether demo`: the whole of it, played on a lab of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { Option } from 'commander';
import type { Command } from 'commander';
import { Lab, stateDirOf } from '../../lab/lab';
import { down } from '../../lab/down';
import { withLock } from '../../lab/lock';
import { up } from '../../lab/up';
import { examples, withJson } from '../cli';
import type { Cli, OutputFlags } from '../cli';
import { SCENES } from '../demo/scenes';
import { Stage } from '../demo/stage';
import { summary } from '../demo/summary';
import { CliError, EXIT } from '../exit-codes';
import { needRoot } from '../lab';
import { needResources, nodesOf, servicesOf } from '../resources';
import { EXAMPLE_NODES, toolsOption } from './lab';

const NAME = 'demo';

type DemoFlags = OutputFlags & { keep?: boolean; play?: boolean };

export function registerDemo(program: Command, cli: Cli): void {
  withJson(program.command('demo'))
    .description(
      'bring up a lab, break it, watch it repair itself and move traffic, and leave nothing behind',
    )
    .option('--keep', 'leave the lab running at the end')
    .addOption(new Option('--play', 'the demo itself, without the tidying up').hideHelp())
    .addHelpText('after', examples('aether demo'))
    .action(async (flags: DemoFlags) => {
      needRoot('aether demo');
      const stateDir = stateDirOf(NAME);
      if (flags.play) await play(cli, flags, stateDir);
      else await withLock(`${stateDir}.demo`, () => demo(cli, flags, stateDir));
    });
}

/**
 * The demo plays in a process of its own: whatever it is at when somebody interrupts it, ending that
 * process ends it, and nothing is made any more while this one tidies up.
 */
async function demo(cli: Cli, flags: DemoFlags, stateDir: string): Promise<void> {
  const out = cli.output(flags);
  let code = 1;
  try {
    code = await playChild(process.argv.slice(1));
    process.exitCode = code;
  } finally {
    if (code === EXIT.ok && flags.keep) out.say(farewell(Lab.open(stateDir).record.endpoints.ui));
    else {
      await down(stateDir);
      out.say('\nThe lab is down: no process, namespace, link, mount, pin or file of it is left.');
    }
  }
}

/** Resolves with its exit code; a signal to this process ends it. */
async function playChild(argv: readonly string[]): Promise<number> {
  // In a session of its own, so that Ctrl-C reaches this process alone.
  const child = spawn(process.execPath, [...process.execArgv, ...argv, '--play'], {
    stdio: 'inherit',
    detached: true,
  });
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        reject(new CliError(128 + constants.signals[signal], `\nInterrupted (${signal}).`));
      });
    }
  });
  const ended = once(child, 'exit');
  try {
    const [code] = (await Promise.race([ended, interrupted])) as [number | null];
    return code ?? EXIT.failed;
  } finally {
    // With its group: also the commands that it has under way.
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      process.kill(-child.pid, 'SIGKILL');
      await ended;
    }
  }
}

async function play(cli: Cli, flags: DemoFlags, stateDir: string): Promise<void> {
  const out = cli.output(flags);
  const began = performance.now();
  const loaded = needResources([EXAMPLE_NODES]);
  const nodes = nodesOf(loaded);
  out.say(out.colours.bold('Aether: four edges in two regions, on this machine alone'));
  await down(stateDir);
  out.say(
    out.colours.bold('\n1  A lab comes up: every host a set of namespaces, every process real'),
  );
  const record = await up({
    name: NAME,
    stateDir,
    nodes,
    controllers: 1,
    etcds: 3,
    progress: (line) => {
      out.say(`   ${line}`);
    },
    ...toolsOption(cli),
  });
  const stage = new Stage(new Lab(record), nodes, servicesOf(loaded), out);
  try {
    for (const scene of SCENES) await scene(stage);
  } finally {
    stage.close();
  }
  out.say(out.colours.bold('\nWhat happened'));
  const seconds = (performance.now() - began) / 1000;
  out.result({ mended: stage.mended, seconds }, () => summary(stage.mended, seconds, out));
}

/** Each line names the lab: another one may be up beside it. */
export const farewell = (ui: string): string => `
The lab is left running. Temporal's UI: ${ui}
   aether get nodes --lab ${NAME}
   aether explain node fra-1 --lab ${NAME}
   aether lab exec --name ${NAME} fra-1 -- ip link delete edge0
   aether lab down --name ${NAME}`;
