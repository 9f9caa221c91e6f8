/** Which lab a command means, and who may touch it. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { Lab, stateDirOf } from '../lab/lab';
import { DEFAULT_LAB, defaultLab, isRoot, labSeen, noLab, withJson } from './cli';
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

/**
 * `lab exec ctl-1 --name mine -- ip link`: options behind the host are ours as well, up to the command, since no command
 * begins with a dash; the command's own are never looked at.
 */
export function ownOptions(
  flags: LabFlags,
  words: readonly string[],
): { flags: LabFlags; command: string[] } {
  const own = { ...flags };
  let at = 0;
  for (; words[at]?.startsWith('-') === true && words[at] !== '--'; at++) {
    const [, option = '', value] = /^--(\w+)(?:=(.*))?$/s.exec(words[at] ?? '') ?? [];
    if (option !== 'name' && option !== 'state') {
      const hint = 'The command stands behind the host: aether lab exec HOST -- COMMAND …';
      throw new CliError(EXIT.usage, `lab exec has no option "${words[at]}"`, hint);
    }
    const given = value ?? words[++at];
    if (given === undefined) throw new CliError(EXIT.usage, `--${option} takes a value`);
    own[option] = given;
  }
  const command = words.slice(words[at] === '--' ? at + 1 : at);
  if (command.length === 0) throw new CliError(EXIT.usage, 'There is no command to run');
  return { flags: own, command };
}

export function needRoot(what: string): void {
  if (isRoot()) return;
  throw new CliError(EXIT.failed, `${what} needs root`, 'Run it with sudo.');
}

export function openLab(flags: LabFlags): Lab {
  const stateDir = labStateDir(flags);
  const record = labSeen(stateDir);
  if (record !== null) return new Lab(record);
  throw noLab(flags.name, '--name');
}
