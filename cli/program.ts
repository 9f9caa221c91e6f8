/** The tree of commands. */
import { Command } from 'commander';
import type { Cli } from './cli';
import { registerApply } from './commands/apply';
import { registerBlock } from './commands/block';
import { registerCa } from './commands/ca';
import { registerCluster } from './commands/cluster';
import { registerCompletion } from './commands/completion';
import { registerDemo } from './commands/demo';
import { registerDoctor } from './commands/doctor';
import { registerEdge } from './commands/edge';
import { registerFilter } from './commands/filter';
import { registerInspect } from './commands/inspect';
import { registerLab } from './commands/lab';
import { registerOperate } from './commands/operate';
import { registerRoute } from './commands/route';
import { registerRouting } from './commands/routing';
import { registerValidate } from './commands/validate';
import { EXIT_HELP } from './exit-codes';
import { VERSION } from './version';

export function makeProgram(cli: Cli): Command {
  const aether = new Command('aether')
    .description('Declare edge nodes, have them brought up, and keep them up.')
    .version(VERSION)
    .enablePositionalOptions()
    .showHelpAfterError('(--help shows the usage)')
    .addHelpText('after', `\n${EXIT_HELP}`);
  const groups = [
    registerValidate,
    registerApply,
    registerInspect,
    registerOperate,
    registerCluster,
    registerRouting,
    registerRoute,
    registerBlock,
    registerFilter,
    registerEdge,
    registerLab,
    registerCa,
    registerDoctor,
    registerCompletion,
    registerDemo,
  ];
  for (const register of groups) register(aether, cli);
  for (const command of everyCommand(aether)) command.exitOverride();
  return aether;
}

/** A command and all below it. */
export const everyCommand = (command: Command): Command[] => [
  command,
  ...command.commands.flatMap(everyCommand),
];
