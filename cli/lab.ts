/** Which lab a command means, and who may touch it. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { Lab, stateDirOf } from '../lab/lab';
import { readLab } from '../lab/state';
import { DEFAULT_LAB, defaultLab, labsUp, withJson } from './cli';
import type { OutputFlags } from './cli';
import { CliError, EXIT } from './exit-codes';

export interface LabFlags extends OutputFlags {
  name: string;
  state?: string;
}

export const labStateDir = (flags: LabFlags): string =>
  flags.state === undefined ? stateDirOf(flags.name) : resolve(flags.state);

/** `up` makes the lab `default`; the other verbs mean the only one that is up, too. */
export const withLab = (command: Command): Command =>
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

export function openLab(flags: LabFlags): Lab {
  const stateDir = labStateDir(flags);
  const record = readLab(stateDir);
  if (record !== null) return new Lab(record);
  const others = labsUp();
  throw new CliError(
    EXIT.notFound,
    `No lab "${flags.name}" is up`,
    others.length === 0
      ? 'Bring it up: aether lab up'
      : `These are, name one with --name: ${others.join(', ')}`,
  );
}
