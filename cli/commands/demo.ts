/** `aether demo`: the whole of it, played on a lab of its own. */
import type { Command } from 'commander';
import { Lab, stateDirOf } from '../../lab/lab';
import { down } from '../../lab/down';
import { up } from '../../lab/up';
import { withJson } from '../cli';
import type { Cli, OutputFlags } from '../cli';
import { SCENES } from '../demo/scenes';
import { Stage } from '../demo/stage';
import { summary } from '../demo/summary';
import { CliError, EXIT } from '../exit-codes';
import type { Output } from '../output';
import { needResources } from '../resources';
import { EXAMPLE_NODES, needRoot, toolsOption } from './lab';

const NAME = 'demo';

type DemoFlags = OutputFlags & { keep?: boolean };

export function registerDemo(program: Command, cli: Cli): void {
  withJson(program.command('demo'))
    .description('bring up a lab, break it, watch it repair itself, and leave nothing behind')
    .option('--keep', 'leave the lab running at the end')
    .action(async (flags: DemoFlags) => {
      needRoot('aether demo');
      await demo(cli, flags);
    });
}

async function demo(cli: Cli, flags: DemoFlags): Promise<void> {
  const out = cli.output(flags);
  const stateDir = stateDirOf(NAME);
  let finished = false;
  try {
    await Promise.race([play(cli, out, stateDir), interruption()]);
    finished = true;
  } finally {
    if (finished && flags.keep) sayKept(out, new Lab(Lab.open(stateDir).record));
    else {
      await down(stateDir);
      out.say('\nThe lab is down: no process, namespace, link, mount, pin or file of it is left.');
    }
  }
}

/** Ctrl-C ends the demo, not the tidying up after it. */
function interruption(): Promise<never> {
  return new Promise((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        reject(new CliError(EXIT.failed, `\nInterrupted (${signal}).`));
      });
    }
  });
}

async function play(cli: Cli, out: Output, stateDir: string): Promise<void> {
  const began = performance.now();
  const nodes = needResources([EXAMPLE_NODES]).map(({ resource }) => resource);
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
  const stage = new Stage(new Lab(record), nodes, out);
  try {
    for (const scene of SCENES) await scene(stage);
  } finally {
    stage.close();
  }
  stage.heading('What happened');
  const seconds = (performance.now() - began) / 1000;
  out.result({ mended: stage.mended, seconds }, () => summary(stage.mended, seconds, out));
}

function sayKept(out: Output, lab: Lab): void {
  out.say(`
The lab is left running. Temporal's UI: ${lab.record.endpoints.ui}
   aether get nodes
   aether explain node fra-1
   aether lab exec fra-1 -- ip link delete edge0
   aether lab down`);
}
