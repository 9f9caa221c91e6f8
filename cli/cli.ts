/** What every command shares: the environment, the output, the way to the servers. */
import { existsSync, readdirSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import type { Command } from 'commander';
import { parseDuration } from '../core/model/duration';
import { ADMIN_SOCKET } from '../lab/declare';
import { adminSockets } from '../lab/health';
import { stateDirOf } from '../lab/lab';
import { type LabRecord, LABS, readLab } from '../lab/state';
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
  lab?: string;
  server?: string;
  tlsCa?: string;
  tlsCert?: string;
  tlsKey?: string;
}

/** Where controllers are asked: at unix sockets, or over TLS; of several the first that answers. */
export type AdminWay =
  | { kind: 'sockets'; paths: string[] }
  | { kind: 'servers'; servers: string[]; tls: { ca: string; cert: string; key: string } };

export class Cli {
  constructor(readonly env: Environment) {}

  /** For the audit trail; under sudo, who it was before. */
  get caller(): string {
    return `${this.env['SUDO_USER'] ?? userInfo().username}@${hostname()}`;
  }

  output(flags: OutputFlags): Output {
    const terminal = process.stdout.isTTY;
    return makeOutput({
      json: flags.json ?? false,
      colour: terminal && (this.env['NO_COLOR'] ?? '') === '' && this.env['TERM'] !== 'dumb',
    });
  }

  /** As named by a flag, else by a variable; else the socket of this host, or those of the lab that is up. */
  adminWay(flags: ServerFlags): AdminWay {
    const sockets = (...paths: string[]): AdminWay => ({ kind: 'sockets', paths });
    if (flags.lab !== undefined) return sockets(...socketsOf(flags.lab));
    if (flags.socket !== undefined) return sockets(flags.socket);
    const servers = flags.server ?? this.env['AETHER_ADMIN_SERVER'];
    if (servers !== undefined) return this.#servers(servers, flags);
    const named = this.env['AETHER_ADMIN_SOCKET'];
    if (named !== undefined) return sockets(named);
    if (existsSync(ADMIN_SOCKET)) return sockets(ADMIN_SOCKET);
    const found = socketsOfLab(defaultLab());
    return sockets(...(found.length === 0 ? [ADMIN_SOCKET] : found));
  }

  #servers(list: string, flags: ServerFlags): AdminWay {
    const servers = list.split(',').map((server) => server.trim());
    const wrong = servers.find((server) => !isServer(server));
    if (wrong !== undefined) {
      const hint = 'Write it as ctl.example:7702 or [2001:db8::1]:7702, several by commas.';
      throw new CliError(EXIT.usage, `"${wrong}" is no server`, hint);
    }
    const file = (given: string | undefined, flag: string, variable: string): string => {
      const path = given ?? this.env[variable];
      if (path !== undefined && path !== '') return path;
      const hint = 'Make a certificate with: aether ca issue operator NAME';
      throw new CliError(EXIT.usage, `--server takes ${flag} <file>, or $${variable}`, hint);
    };
    const tls = {
      ca: file(flags.tlsCa, '--tls-ca', 'AETHER_ADMIN_CA'),
      cert: file(flags.tlsCert, '--tls-cert', 'AETHER_ADMIN_CERT'),
      key: file(flags.tlsKey, '--tls-key', 'AETHER_ADMIN_KEY'),
    };
    return { kind: 'servers', servers, tls };
  }
}

/** `host:port`; an IPv6 address stands in brackets. */
function isServer(text: string): boolean {
  const [, port] = /^(?:\[[0-9a-f:.]+\]|[\w.-]+):(\d{1,5})$/i.exec(text) ?? [];
  return port !== undefined && Number(port) > 0 && Number(port) < 65_536;
}

/** Empty: it is not up, or its hosts are gone. */
export function socketsOfLab(name: string): string[] {
  const record = labSeen(stateDirOf(name));
  return record === null ? [] : adminSockets({ record });
}

function socketsOf(lab: string): string[] {
  const record = labSeen(stateDirOf(lab));
  if (record !== null) {
    const sockets = adminSockets({ record });
    if (sockets.length > 0) return sockets;
    const hint = `Make it anew: aether lab down --name ${lab}; aether lab up --name ${lab}`;
    throw new CliError(EXIT.unreachable, `The hosts of the lab "${lab}" are gone`, hint);
  }
  throw noLab(lab, '--lab');
}

/** `flag`: how another one is named. */
export function noLab(name: string, flag: '--lab' | '--name'): CliError {
  const up = labsUp();
  const others =
    up.length === 0
      ? 'Bring it up: aether lab up'
      : `These are, name one with ${flag}: ${up.join(', ')}`;
  const hint = isRoot() ? others : 'Labs are for root: run it with sudo.';
  return new CliError(EXIT.notFound, `No lab "${name}" is up`, hint);
}

export const isRoot = (): boolean => process.getuid?.() === 0;

/** Null: there is none, or it is not ours to see. */
export function labSeen(stateDir: string): LabRecord | null {
  try {
    return readLab(stateDir);
  } catch (error) {
    if (isDenied((error as Error).cause)) return null;
    throw error;
  }
}

const isDenied = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException | undefined)?.code === 'EACCES';

/** Those in the usual place, as far as they are ours to see. */
export function labsUp(): string[] {
  try {
    return existsSync(LABS) ? readdirSync(LABS).filter((name) => !name.endsWith('.lock')) : [];
  } catch (error) {
    if (isDenied(error)) return [];
    throw error;
  }
}

/** The lab that is meant where none is named: `default`, or the only one that is up. */
export function defaultLab(): string {
  const names = labsUp();
  return names.length === 1 && names[0] !== undefined ? names[0] : DEFAULT_LAB;
}

export const withJson = (command: Command): Command =>
  command.option('--json', 'print the result as JSON');

export const withServer = (command: Command): Command =>
  withJson(command)
    .option(
      '--socket <path>',
      'admin socket of a controller (default: $AETHER_ADMIN_SOCKET, /run/aether/admin.sock, those of the lab)',
    )
    .option('--lab <name>', 'the controllers of that lab, where several are up')
    .option(
      '--server <host:port,...>',
      'controllers over TLS instead; the first that answers is asked (default: $AETHER_ADMIN_SERVER)',
    )
    .option('--tls-ca <file>', 'of the authority (default: $AETHER_ADMIN_CA)')
    .option('--tls-cert <file>', 'certificate of the operator (default: $AETHER_ADMIN_CERT)')
    .option('--tls-key <file>', 'its key (default: $AETHER_ADMIN_KEY)');

export const collect = (value: string, former: string[] = []): string[] => [...former, value];

/** A whole number of an option. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw new CliError(EXIT.usage, `"${text}" is not a whole number from ${least} to ${most}`);
  };
}

/** Of an option, in ms; more than none: to the servers no time at all is for ever. */
export function durationOf(text: string): number {
  const ms = parseDuration(text);
  if (ms !== null && ms > 0) return ms;
  throw new CliError(EXIT.usage, `"${text}" is no duration`, 'Write it as 90s, 30m or 2h.');
}

/** Of `--for`; 0 where it is not given: until it is taken back. */
export const forMsOf = (text: string | undefined): number =>
  text === undefined ? 0 : durationOf(text);

/** `examples` under the help of a command. */
export const examples = (...lines: readonly string[]): string =>
  `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}\n`;
