/** The `aether` command. */
import { Command, CommanderError } from 'commander';
import { Cli } from './cli';
import { registerApply } from './commands/apply';
import { registerCa } from './commands/ca';
import { registerDemo } from './commands/demo';
import { registerDoctor } from './commands/doctor';
import { registerEdge } from './commands/edge';
import { registerInspect } from './commands/inspect';
import { registerLab } from './commands/lab';
import { registerOperate } from './commands/operate';
import { registerValidate } from './commands/validate';
import { CliError, EXIT, EXIT_HELP } from './exit-codes';
import { VERSION } from './version';

function program(cli: Cli): Command {
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
    registerEdge,
    registerLab,
    registerCa,
    registerDoctor,
    registerDemo,
  ];
  for (const register of groups) register(aether, cli);
  for (const command of everyCommand(aether)) command.exitOverride();
  return aether;
}

const everyCommand = (command: Command): Command[] => [
  command,
  ...command.commands.flatMap(everyCommand),
];

function report(error: unknown, json: boolean): number {
  // Commander has said what was wrong with the usage, or printed the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  const known = error instanceof CliError ? error : null;
  const message = error instanceof Error ? error.message : String(error);
  const exitCode = known?.exitCode ?? EXIT.failed;
  if (json) {
    const body = { error: { exitCode, message, hint: known?.hint ?? null, ...known?.facts } };
    process.stdout.write(`${JSON.stringify(body, null, 2)}\n`);
  } else {
    process.stderr.write(`${message}\n${known?.hint ? `${known.hint}\n` : ''}`);
  }
  return exitCode;
}

async function main(): Promise<void> {
  const cli = new Cli(process.env);
  try {
    await program(cli).parseAsync();
  } catch (error) {
    process.exitCode = report(error, process.argv.includes('--json'));
  }
}

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  throw error;
});

void main();
