/**
 * Real routers in network namespaces: BIRD, FRR or gobgpd from one typed configuration, asked at their
 * own sockets. What `startRouter` starts ends with `stop`, and leaves nothing on the machine.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SYSTEM_PATH } from './host';
import { bird } from './routers/bird';
import { frr } from './routers/frr';
import { gobgpd } from './routers/gobgpd';
import { mustRun } from './run';
import { findTool } from './tools';
import type { RouterConfig, RouterFace, RouterKind, RouterSoftware } from './routers/types';
import { eventually } from './wait';

export type * from './routers/types';

export const software: Readonly<Record<RouterKind, RouterSoftware>> = { bird, frr, gobgpd };

/** Where a router runs: a process in that network namespace, or a name that `ip netns` knows. */
export type Place = { pid: number } | { netns: string };

const READY_WITHIN_MS = 15_000;
const STOP_WITHIN_MS = 5_000;

export interface Router extends RouterFace {
  kind: RouterKind;
  config: RouterConfig;
  /** Its files, sockets and logs. */
  directory: string;
  /** Of each of its processes, by name: `bird`; `zebra`, `bfdd`, `bgpd`; `gobgpd`. */
  pids: Readonly<Record<string, number>>;
  /** What its processes wrote. */
  log(): string;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Why a router of this kind can't run here; false where it can. */
export function cannotRun(kind: RouterKind): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  const there = {
    bird: existsSync('/usr/sbin/bird'),
    frr: existsSync('/usr/lib/frr/bgpd'),
    gobgpd: findTool('gobgpd') !== null && findTool('gobgp') !== null,
  };
  return there[kind] ? false : `needs ${kind}: make setup`;
}

const enter = (place: Place): string[] =>
  'pid' in place
    ? ['nsenter', `--target=${place.pid}`, '--net', '--']
    : ['ip', 'netns', 'exec', place.netns];

/** Writes what its processes read, into a directory that they may use. */
export async function furnish(
  kind: RouterKind,
  config: RouterConfig,
  directory: string,
  seenFromHere: string = directory,
): Promise<void> {
  const { files, owner } = software[kind];
  mkdirSync(seenFromHere, { recursive: true, mode: 0o755 });
  for (const [name, content] of Object.entries(files(config, directory))) {
    writeFileSync(join(seenFromHere, name), content);
  }
  if (owner !== null) await mustRun(['chown', '-R', owner, seenFromHere]);
}

class Running {
  private readonly children = new Map<string, ChildProcess>();

  constructor(
    private readonly place: Place,
    private readonly directory: string,
  ) {}

  start(name: string, argv: readonly string[]): void {
    const log = openSync(join(this.directory, `${name}.log`), 'a');
    const [command = '', ...args] = [...enter(this.place), ...argv];
    const env = { PATH: SYSTEM_PATH };
    const child = spawn(command, args, { stdio: ['ignore', log, log], env });
    closeSync(log);
    child.on('error', () => undefined); // `ready` tells.
    this.children.set(name, child);
  }

  hasEnded(): boolean {
    return [...this.children.values()].some(
      ({ exitCode, signalCode }) => exitCode !== null || signalCode !== null,
    );
  }

  pids(): Record<string, number> {
    return Object.fromEntries([...this.children].map(([name, { pid }]) => [name, pid ?? 0]));
  }

  log(): string {
    const logs = [...this.children.keys()].map((name) => {
      return `--- ${name}\n${readFileSync(join(this.directory, `${name}.log`), 'utf8')}`;
    });
    return logs.join('\n');
  }

  async stop(): Promise<void> {
    await Promise.all([...this.children.values()].map(end));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** One that was stopped (SIGSTOP) or hangs is killed. */
async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  const killing = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
  await exit;
  clearTimeout(killing);
}

/** Resolves when it runs and is configured; its sessions come up later. */
export async function startRouter(
  kind: RouterKind,
  config: RouterConfig,
  place: Place,
): Promise<Router> {
  const { processes, ready, face } = software[kind];
  const directory = mkdtempSync(join(tmpdir(), `aether-${kind}-`));
  await mustRun(['chmod', '755', directory]);
  const running = new Running(place, directory);
  try {
    await furnish(kind, config, directory);
    for (const { name, argv } of processes(config, directory)) running.start(name, argv);
    const isDecided = async (): Promise<true> => {
      if (!running.hasEnded()) await ready(config, directory);
      return true;
    };
    await eventually(`${kind} runs`, isDecided, { within: READY_WITHIN_MS, every: 50 });
    if (running.hasEnded()) throw new Error(`${kind} ended at once`);
  } catch (error) {
    const log = running.log();
    await running.stop();
    throw new Error(`${(error as Error).message}\n${log}`, { cause: error });
  }
  const stop = (): Promise<void> => running.stop();
  return {
    kind,
    config,
    directory,
    pids: running.pids(),
    ...face(config, directory),
    log: () => running.log(),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
