/** The `aether` command. */
import { CommanderError } from 'commander';
import { Cli } from './cli';
import { CliError, EXIT } from './exit-codes';
import { makeProgram } from './program';

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
    await makeProgram(cli).parseAsync();
  } catch (error) {
    process.exitCode = report(error, process.argv.includes('--json'));
  }
  // grpc-js holds on to a handshake that nobody answers, also after its channel was closed.
  setTimeout(() => process.exit(), LINGER_MS).unref();
}

/** Nothing is lost by it: Node writes to files, terminals and pipes at once on Linux. */
const LINGER_MS = 100;

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  throw error;
});

void main();
