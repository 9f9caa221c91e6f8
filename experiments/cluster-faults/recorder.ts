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
import type { Entry, HistoryEvent } from './history';

/** A line of an agent's log, as far as it matters here. */
interface AgentLine {
  msg: string;
  revision?: number;
  fence?: OwnerFence;
  heard?: OwnerFence;
  held?: OwnerFence;
}

export class Recorder {
  readonly history: Entry[] = [];
  private readonly beganMs = performance.now();
  /** How far each agent's log has been read. */
  private readonly read = new Map<string, number>();
  private monitor: ChildProcess | undefined;

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

  private path(line: string): void {
    type Told = { nlri: { prefix: string }; withdrawal?: boolean; 'peer-address': string };
    for (const told of JSON.parse(line) as Told[]) {
      this.add({
        kind: 'path',
        prefix: told.nlri.prefix,
        via: told['peer-address'],
        present: told.withdrawal !== true,
      });
    }
  }

  /** What the agents have logged since the last time. Their own clocks may be wrong, so they aren't asked. */
  readLogs(): void {
    for (const edge of this.edges) {
      for (const line of this.newLines(edge)) this.agentLine(edge, line);
    }
  }

  private agentLine(edge: string, line: AgentLine): void {
    const { msg, revision, fence, heard, held } = line;
    if (msg === 'spec accepted' && revision !== undefined && fence !== undefined) {
      this.add({ kind: 'accepted', edge, revision, fence });
    } else if (
      msg === 'a former owner was not heard' &&
      heard !== undefined &&
      held !== undefined
    ) {
      this.add({ kind: 'unheard', edge, heard, held });
    }
  }

  /** Whole lines of JSON alone: the last one may still be being written, and Node warns in its own words. */
  private newLines(edge: string): AgentLine[] {
    const path = paths.log(this.lab.stateDir, agentOf(edge));
    if (!existsSync(path)) return [];
    const from = this.read.get(edge) ?? 0;
    const file = openSync(path, 'r');
    const bytes = Buffer.alloc(fstatSync(file).size - from);
    readSync(file, bytes, 0, bytes.length, from);
    closeSync(file);
    const whole = bytes.lastIndexOf('\n') + 1;
    this.read.set(edge, from + whole);
    const lines = bytes.subarray(0, whole).toString('utf8').split('\n');
    return lines.flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as AgentLine] : []));
  }

  async stop(): Promise<void> {
    const child = this.monitor;
    if (child === undefined || this.isDeaf) return;
    const exit = once(child, 'exit');
    child.kill();
    await exit;
  }
}
