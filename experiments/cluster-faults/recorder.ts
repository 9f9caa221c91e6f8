/** Writes the history down: what clients, logs of edges and the observer's BGP tell. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { OwnerFence } from '../../core/model/edge-spec';
import { agentOf } from '../../lab/declare';
import type { Lab } from '../../lab/lab';
import { ROUTER_DIRECTORY } from '../../lab/peering';
import { paths } from '../../lab/state';
import { needTool } from '../../lab/tools';
import { OBSERVER } from '../../lab/topology';
import { eventually } from '../../lab/wait';
import type { Entry, HistoryEvent } from './history';

/** A line of a log, as far as it matters here. */
interface Line {
  msg: string;
  controller?: string;
  shard?: number;
  ownerRevision?: number;
  by?: string;
  revision?: number;
  fence?: OwnerFence;
  heard?: OwnerFence;
  held?: OwnerFence;
}

export class Recorder {
  readonly history: Entry[] = [];
  private readonly beganMs = performance.now();
  /** How far each log has been read. */
  private readonly read = new Map<string, number>();
  private monitor: ChildProcess | undefined;
  /** What is told while it is tried whether anybody listens. */
  private trial: { via: string }[] | null = null;

  constructor(
    private readonly lab: Lab,
    private readonly edges: readonly string[],
  ) {}

  get nowMs(): number {
    return Math.round(performance.now() - this.beganMs);
  }

  add(event: HistoryEvent): void {
    this.history.push({ ...event, atMs: this.nowMs });
  }

  /** Everything that a router tells the observer from now on: what it has told already is not repeated. */
  followPaths(): void {
    const socket = this.lab.pathIn(OBSERVER, `${ROUTER_DIRECTORY}/gobgp.sock`);
    const argv = ['--target', `unix://${socket}`, 'monitor', 'adj-in', '-j'];
    const child = spawn(needTool('gobgp'), argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.monitor = child;
    createInterface({ input: child.stdout }).on('line', (line) => this.path(line));
  }

  /** Nobody follows the paths any more: what the history lacks from then on says nothing. */
  get isDeaf(): boolean {
    const { exitCode = null, signalCode = null } = this.monitor ?? {};
    return exitCode !== null || signalCode !== null;
  }

  /**
   * Resets a session of the observer and hears its paths come back: else that nothing was withdrawn might
   * only say that nobody listened. None of it is in the history.
   */
  async listens(): Promise<void> {
    const router = this.lab.router(OBSERVER);
    const [session] = await router.sessions();
    if (session === undefined) throw new Error('The observer has no session');
    this.trial = [];
    await router.reset(session.address);
    const heard = (): boolean => this.trial?.some(({ via }) => via === session.address) ?? false;
    await eventually('the observer hears paths again', heard, { within: 60_000, every: 20 });
    await this.quiet();
    this.trial = null;
  }

  /** No path is told for a second. */
  private async quiet(): Promise<void> {
    let heard = -1;
    const still = (): boolean => {
      const before = heard;
      heard = this.trial?.length ?? 0;
      return before === heard;
    };
    await eventually('no path is told', still, { within: 30_000, times: 10 });
  }

  private path(line: string): void {
    type Told = { nlri: { prefix: string }; withdrawal?: boolean; 'peer-address': string };
    // gobgp's word for no path at all is `null`.
    for (const told of (JSON.parse(line) as Told[] | null) ?? []) {
      const via = told['peer-address'];
      const present = told.withdrawal !== true;
      if (this.trial === null) this.add({ kind: 'path', prefix: told.nlri.prefix, via, present });
      else this.trial.push({ via });
    }
  }

  /** What agents and controllers have logged since the last time. Their own clocks may be wrong, so they aren't asked. */
  readLogs(): void {
    for (const edge of this.edges) {
      for (const line of this.newLines(agentOf(edge))) this.agentLine(edge, line);
    }
    for (const controller of this.lab.hosts('controller')) {
      for (const line of this.newLines(controller)) this.controllerLine(controller, line);
    }
  }

  private agentLine(edge: string, line: Line): void {
    const { msg, revision, fence, heard, held, controller } = line;
    if (msg === 'spec accepted' && revision !== undefined && fence !== undefined) {
      this.add({ kind: 'accepted', edge, revision, fence });
    } else if (
      msg === 'a former owner was not heard' &&
      heard !== undefined &&
      held !== undefined
    ) {
      this.add({ kind: 'unheard', edge, heard, held });
    } else if (msg === 'connected to a controller' && controller !== undefined && fence != null) {
      const [id = ''] = controller.split(' ');
      this.add({ kind: 'obeys', edge, controller: id, fence });
    }
  }

  private controllerLine(controller: string, line: Line): void {
    const { msg, shard, ownerRevision, by } = line;
    if (msg !== 'a write as a former owner was refused') return;
    if (shard === undefined || ownerRevision === undefined || by === undefined) return;
    this.add({ kind: 'refused', controller, shard, token: ownerRevision, by });
  }

  /** Whole lines of JSON alone: the last one may still be being written, and Node warns in its own words. */
  private newLines(process: string): Line[] {
    const path = paths.log(this.lab.stateDir, process);
    if (!existsSync(path)) return [];
    const from = this.read.get(process) ?? 0;
    const file = openSync(path, 'r');
    const bytes = Buffer.alloc(fstatSync(file).size - from);
    readSync(file, bytes, 0, bytes.length, from);
    closeSync(file);
    const whole = bytes.lastIndexOf('\n') + 1;
    this.read.set(process, from + whole);
    const lines = bytes.subarray(0, whole).toString('utf8').split('\n');
    return lines.flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Line] : []));
  }

  async stop(): Promise<void> {
    const child = this.monitor;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill();
    await exit;
  }
}
