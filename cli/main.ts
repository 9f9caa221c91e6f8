/** The `aether` command. */
import { CommanderError } from 'commander';
import { Cli } from './cli';
import { CliError, EXIT } from './exit-codes';
import { makeProgram } from './program';

function report(error: unknown, json: boolean): number {
  const isUsage = error instanceof CommanderError;
  // It is the help that was asked for.
  if (isUsage && error.exitCode === 0) return EXIT.ok;
  const known = error instanceof CliError ? error : null;
  const message = error instanceof Error ? error.message : String(error);
  const exitCode = isUsage ? EXIT.usage : (known?.exitCode ?? EXIT.failed);
  if (json) {
    const body = { error: { exitCode, message, hint: known?.hint ?? null, ...known?.facts } };
    process.stdout.write(`${JSON.stringify(body, null, 2)}\n`);
  } else if (!isUsage) {
    // Of the usage commander has said by itself what was wrong.
    process.stderr.write(`${message}\n${known?.hint ? `${known.hint}\n` : ''}`);
  }
  return exitCode;
}

async function main(): Promise<void> {
  const program = makeProgram(new Cli(process.env));
  const { argv } = process;
  let json = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined).includes('--json');
  // It may have been that of a command that `lab exec` runs.
  program.hook('preAction', (_, action) => {
    json = action.opts()['json'] === true;
  });
  try {
    await program.parseAsync();
  } catch (error) {
    process.exitCode = report(error, json);
  }
  await Promise.all([taken(process.stdout), taken(process.stderr)]);
  // grpc-js holds on to a handshake that nobody answers, also after its channel was closed.
  setTimeout(() => process.exit(), LINGER_MS).unref();
}

const LINGER_MS = 100;

/** Until all of it is with its reader: a pipe holds 64 KB, and an exit drops the rest. */
const taken = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => {
    if (stream.writableLength === 0) resolve();
    else stream.write('', () => resolve());
  });

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  throw error;
});

void main();
