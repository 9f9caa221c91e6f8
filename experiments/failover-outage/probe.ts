/** Drives `probe/probe.c`: who answers, and what was lost. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from '../../lab/tools';
import { eventually } from '../../lab/wait';

export const PROBE = join(ROOT, '.tools/bin/failover-probe');
export const hasProbe = (): boolean => existsSync(PROBE);

export interface Lost {
  /** Epoch; sequence n was sent n + 1 ms later. */
  beganMs: number;
  sent: number;
  /** First sequence and count of each gap; one packet a millisecond. */
  lost: [first: number, count: number][];
}

export const total = ({ lost }: Lost): number => lost.reduce((sum, [, count]) => sum + count, 0);

class Program {
  protected readonly child: ChildProcess;
  protected readonly lines: string[] = [];
  private readonly ended: Promise<unknown>;

  constructor(argv: readonly string[]) {
    const [command = '', ...args] = argv;
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: child.stdout }).on('line', (line) => this.lines.push(line));
    this.ended = once(child, 'close');
    this.child = child;
  }

  protected async end(): Promise<void> {
    this.child.stdin?.end();
    await this.ended;
  }
}

/** The service on one edge. `enter`: command line that runs what follows in its namespace. */
export class Echo extends Program {
  static async start(
    enter: readonly string[],
    address: string,
    port: number,
    tag: string,
  ): Promise<Echo> {
    const echo = new Echo([...enter, PROBE, 'echo', address, String(port), tag]);
    await eventually('the echo runs', () => echo.lines.length > 0, { within: 5_000, every: 5 });
    return echo;
  }

  stop(): Promise<void> {
    return this.end();
  }
}

export class Probe extends Program {
  constructor(enter: readonly string[], address: string, port: number) {
    super([...enter, PROBE, 'send', address, String(port)]);
  }

  /** Tag of the echo that answers now; null: none has. */
  get answering(): string | null {
    return this.lines.at(-1)?.split(' ')[1] ?? null;
  }

  answeredBy(tags: string, within: number): Promise<true> {
    const look = (): boolean => tags.includes(this.answering ?? '-');
    return eventually(`one of ${tags} answers`, look, { within, every: 5 });
  }

  async stop(): Promise<Lost> {
    await this.end();
    return JSON.parse(this.lines.at(-1) ?? '') as Lost;
  }
}
