/** A lab that is up, as tests, the demo and the CLI use it. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SYSTEM_PATH, hostEnvironment, inHost } from './host';
import { isAlive, signal } from './identity';
import { ROUTER_DIRECTORY } from './peering';
import { software } from './routers';
import type { RouterFace } from './routers';
import type { ProcessIdentity } from './identity';
import { run } from './run';
import type { Ran, RunOptions } from './run';
import { LABS, paths, readLab, readProcess } from './state';
import type { LabRecord, ProcessRecord } from './state';
import { ROOT } from './tools';
import { eventually } from './wait';

export const stateDirOf = (name: string): string => join(LABS, name);

/** A path in the file system of a host, as seen from outside: also that of a unix socket. */
export const hostPath = (host: { holder: ProcessIdentity }, path: string): string =>
  `/proc/${host.holder.pid}/root${path}`;

export interface ProcessStatus {
  name: string;
  host: string;
  /** `stopped`: and stays so; `ended`: it is about to be started again. */
  state: 'running' | 'stopped' | 'ended';
  pid: number | null;
  startedAtMs: number | null;
  restarts: number;
  log: string;
}

/** A host was named that the lab does not have; the message says which ones it has. */
export class NoSuchHost extends Error {
  override readonly name = 'NoSuchHost';
}

/** As `NoSuchHost`, of a process. */
export class NoSuchProcess extends Error {
  override readonly name = 'NoSuchProcess';
}

export class Lab {
  constructor(readonly record: LabRecord) {}

  static open(stateDir: string): Lab {
    const record = readLab(stateDir);
    if (record !== null) return new Lab(record);
    throw new Error(`There is no lab in ${stateDir}: \`aether lab up\` brings one up`);
  }

  get stateDir(): string {
    return this.record.stateDir;
  }

  /** Whether its namespaces are there still: pids are used again, by others and after a boot. */
  isUp(host: string): boolean {
    return isAlive(this.host(host).holder);
  }

  /** Command line and environment that run `argv` in the namespaces of `host`, which must be up. */
  command(host: string, argv: readonly string[]): { argv: string[]; env: Record<string, string> } {
    this.assertUp(host);
    const env = { PATH: `${ROOT}:${SYSTEM_PATH}`, ...hostEnvironment(this.stateDir, host) };
    return { argv: inHost(this.host(host).holder, argv), env };
  }

  exec(host: string, argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
    const { argv: entered, env } = this.command(host, argv);
    return run(entered, { ...options, env: { ...env, ...options.env } });
  }

  /** Standard output of a command that must succeed. */
  async must(host: string, argv: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.exec(host, argv, options);
    if (code !== 0) {
      throw new Error(
        `${host}: ${argv.join(' ')} ended with ${code}: ${(stderr || stdout).trim()}`,
      );
    }
    return stdout;
  }

  pathIn(host: string, path: string): string {
    this.assertUp(host);
    return hostPath(this.host(host), path);
  }

  private assertUp(host: string): void {
    if (this.isUp(host)) return;
    throw new Error(`The host ${host} is gone: \`aether lab down\` and \`up\` make it anew`);
  }

  private host(name: string): LabRecord['hosts'][number] {
    const found = this.record.hosts.find((host) => host.name === name);
    if (found !== undefined) return found;
    const names = this.record.hosts.map((host) => host.name).join(', ');
    throw new NoSuchHost(`The lab has no host ${name}; it has ${names}`);
  }

  /** What can be asked of a router of the lab, or of its observer. */
  router(host: string): RouterFace {
    const found = this.record.routers.find((router) => router.host === host);
    if (found === undefined) throw new Error(`No router runs on ${host}: no node speaks BGP`);
    return software[found.kind].face(found.config, this.pathIn(host, ROUTER_DIRECTORY));
  }

  hosts(role: LabRecord['hosts'][number]['role']): string[] {
    return this.record.hosts.filter((host) => host.role === role).map(({ name }) => name);
  }

  process(name: string): ProcessRecord | null {
    const record = readProcess(this.stateDir, name);
    return record !== null && isAlive(record) ? record : null;
  }

  /** Ends a process; the supervisor starts it again. */
  kill(name: string, how: NodeJS.Signals = 'SIGKILL'): void {
    const running = this.process(name);
    if (running === null) throw new Error(`${name} does not run`);
    signal(running, how);
  }

  /** Ends a process and keeps it from being started. */
  async stop(name: string): Promise<void> {
    this.assertHas(name);
    writeFileSync(paths.held(this.stateDir, name), '');
    const hasEnded = (): boolean => {
      const running = this.process(name);
      if (running !== null) signal(running, 'SIGKILL');
      return running === null;
    };
    // More than once: the supervisor may have been about to start it.
    await eventually(`${name} has ended`, hasEnded, { within: 10_000, every: 50, times: 3 });
  }

  async start(name: string): Promise<void> {
    this.assertHas(name);
    const { supervisor } = this.record;
    if (supervisor === null || !isAlive(supervisor)) {
      throw new Error('The supervisor has ended: `aether lab up` starts it again');
    }
    rmSync(paths.held(this.stateDir, name), { force: true });
    await eventually(`${name} runs`, () => this.process(name), { within: 15_000 });
  }

  private assertHas(process: string): void {
    const names = this.record.processes.map(({ name }) => name);
    if (names.includes(process)) return;
    throw new NoSuchProcess(`The lab has no process ${process}; it has ${names.join(', ')}`);
  }

  status(): ProcessStatus[] {
    return this.record.processes.map(({ name, host }) => {
      const record = readProcess(this.stateDir, name);
      const running = record !== null && isAlive(record);
      const held = record === null || existsSync(paths.held(this.stateDir, name));
      return {
        name,
        host,
        state: running ? 'running' : held ? 'stopped' : 'ended',
        pid: running ? record.pid : null,
        startedAtMs: running ? record.startedAtMs : null,
        restarts: record?.restarts ?? 0,
        log: paths.log(this.stateDir, name),
      };
    });
  }
}
