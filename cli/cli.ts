/** What every command shares: the environment, the output, the way to the servers. */
import { existsSync, readdirSync } from 'node:fs';
import type { Command } from 'commander';
import { ADMIN_SOCKET } from '../lab/declare';
import { answeringSocket } from '../lab/health';
import { Lab, stateDirOf } from '../lab/lab';
import { LABS, readLab } from '../lab/state';
import { EXIT, CliError } from './exit-codes';
import { makeOutput } from './output';
import type { Output } from './output';

export type Environment = Readonly<Record<string, string | undefined>>;

export const DEFAULT_LAB = 'default';

export interface OutputFlags {
  json?: boolean;
}

export interface ServerFlags extends OutputFlags {
  socket?: string;
}

export class Cli {
  constructor(readonly env: Environment) {}

  output(flags: OutputFlags): Output {
    const terminal = process.stdout.isTTY;
    return makeOutput({
      json: flags.json ?? false,
      colour: terminal && (this.env['NO_COLOR'] ?? '') === '' && this.env['TERM'] !== 'dumb',
    });
  }

  /** The socket of the admin API: named, else of the default lab where one is up, else the host's. */
  async adminSocket(flags: ServerFlags): Promise<string> {
    const named = flags.socket ?? this.env['AETHER_ADMIN_SOCKET'];
    if (named !== undefined) return named;
    if (existsSync(ADMIN_SOCKET)) return ADMIN_SOCKET;
    const record = readLab(stateDirOf(defaultLab()));
    return (record === null ? null : await answeringSocket(new Lab(record))) ?? ADMIN_SOCKET;
  }
}

/** The lab that is meant where none is named: `default`, or the only one that is up. */
export function defaultLab(): string {
  const names = existsSync(LABS) ? readdirSync(LABS).filter((name) => !name.endsWith('.lock')) : [];
  return names.length === 1 && names[0] !== undefined ? names[0] : DEFAULT_LAB;
}

export const withJson = (command: Command): Command =>
  command.option('--json', 'print the result as JSON');

export const withServer = (command: Command): Command =>
  withJson(command).option(
    '--socket <path>',
    'admin socket of a controller (default: $AETHER_ADMIN_SOCKET, that of the lab, /run/aether/admin.sock)',
  );

export const collect = (value: string, former: string[] = []): string[] => [...former, value];

/** A whole number of an option. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw new CliError(EXIT.usage, `"${text}" is not a whole number from ${least} to ${most}`);
  };
}

/** `examples` under the help of a command. */
export const examples = (...lines: readonly string[]): string =>
  `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}\n`;
