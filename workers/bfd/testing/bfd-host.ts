/**
 * For the tests of the bfd process: hosts of their own, two of them linked by a veth pair, with bfd processes
 * as real processes in them, and an agent reduced to its lease. Everything dies with the test.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Attachment, BfdClient } from '../../../adapters/bfd/client';
import type { TimedEvent, Told } from '../../../adapters/bfd/proto';
import { ip, uniqueName, waitFor } from '../../../adapters/native/test-support';
import type { BfdReport, Lease, LeasedSession } from '../../../core/announce/types';
import type { BfdSessionView } from '../../../core/model/routing';

const ENTRY = join(__dirname, '../../bfd.js');
const RENEW_MS = 250;

export const session = (address: string, more: Partial<LeasedSession> = {}): LeasedSession => ({
  address,
  multihop: false,
  intervalMs: 300,
  multiplier: 3,
  holdDownMs: 500,
  bgp: false,
  local: null,
  ...more,
});

export const lease = (sessions: LeasedSession[], more: Partial<Lease> = {}): Lease => ({
  asn: 65001,
  graceMs: 30_000,
  paths: [],
  sessions,
  ...more,
});

/** A namespace in which a bfd process runs; null: the one of the test. */
export class BfdHost {
  readonly socket: string;
  readonly gobgpSocket: string;
  readonly directory: string;
  /** Everything that was told, of all its processes. */
  readonly events: TimedEvent[] = [];
  log = '';
  private child: ChildProcess | null = null;
  private client: BfdClient | null = null;
  private attachment: Attachment | null = null;
  private timer: NodeJS.Timeout | null = null;

  constructor(
    t: TestContext,
    readonly namespace: string | null,
  ) {
    this.directory = mkdtempSync(join(tmpdir(), 'aether-bfd-'));
    this.socket = join(this.directory, 'bfd.sock');
    this.gobgpSocket = join(this.directory, 'gobgp.sock');
    t.after(async () => {
      this.detach();
      await this.end('SIGKILL');
      rmSync(this.directory, { recursive: true, force: true });
      if (process.env['SHOW'] !== undefined)
        process.stderr.write(`--- ${namespace}\n${this.log}\n`);
    });
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  /** `before`: a command that runs the process, e.g. with less rights. */
  start(before: readonly string[] = []): this {
    const [command = '', ...args] = this.inside(...before, process.execPath, ENTRY);
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'] ?? '',
        AETHER_BFD_SOCKET: this.socket,
        AETHER_GOBGP_SOCKET: this.gobgpSocket,
        AETHER_STATE_DIR: join(this.directory, 'state'),
        AETHER_METRICS_LISTEN: '127.0.0.1:0',
      },
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => (this.log += chunk.toString()));
    }
    this.child = child;
    return this;
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const { child } = this;
    if (child === null) return;
    this.child = null;
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  }

  /** Leases as the agent does: the whole once, then renewals; again after each end of the stream. */
  attach(leased: Lease): void {
    this.detach();
    const client = new BfdClient(this.socket);
    const begin = (): void => {
      this.attachment = client.attach(
        ({ events }: Told) => this.events.push(...events),
        () => (this.attachment = null),
      );
      this.attachment.lease(leased);
    };
    this.timer = setInterval(() => {
      if (this.attachment === null) begin();
      else this.attachment.lease(null);
    }, RENEW_MS);
    this.client = client;
    begin();
  }

  /** The agent is gone. */
  detach(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.attachment?.close();
    this.client?.[Symbol.dispose]();
    this.timer = this.attachment = this.client = null;
  }

  async look(): Promise<BfdReport> {
    using client = new BfdClient(this.socket);
    return await client.look();
  }

  /** Resolves to the first report that `is` holds for. */
  until(what: string, is: (report: BfdReport) => boolean, timeoutMs = 20_000): Promise<BfdReport> {
    return waitFor(
      what,
      async () => {
        const report = await this.look().catch(() => null);
        return report !== null && is(report) ? report : null;
      },
      timeoutMs,
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.log.slice(-4_000)}`);
    });
  }

  async session(peer: string): Promise<BfdSessionView> {
    const found = (await this.look()).sessions.find((view) => view.peer === peer);
    if (found === undefined) throw new Error(`no session with ${peer}`);
    return found;
  }

  untilState(peer: string, state: BfdSessionView['state'], timeoutMs?: number): Promise<BfdReport> {
    const is = ({ sessions }: BfdReport): boolean =>
      sessions.some((view) => view.peer === peer && view.state === state);
    return this.until(`${peer} is ${state}`, is, timeoutMs);
  }

  exec(command: string, ...args: string[]): string {
    const [file = '', ...rest] = this.inside(command, ...args);
    return execFileSync(file, rest, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  private inside(...command: string[]): string[] {
    return this.namespace === null ? command : ['ip', 'netns', 'exec', this.namespace, ...command];
  }

  /** Silently: the link stays up. `in`: it hears nothing any more; `out`: nobody hears it. */
  cut(...ways: ('in' | 'out')[]): void {
    const hooks = { in: 'prerouting', out: 'postrouting' };
    const chains = ways.map(
      (way) => `chain ${way} { type filter hook ${hooks[way]} priority -400; policy drop; }`,
    );
    this.exec('nft', `table inet cut {\n${chains.join('\n')}\n}`);
  }

  heal(): void {
    this.exec('nft', 'delete table inet cut');
  }
}

export interface Pair {
  a: BfdHost;
  b: BfdHost;
  /** Of a and of b. */
  v4: { a: string; b: string };
  v6: { a: string; b: string };
}

/** Two hosts, one link. */
export function pair(t: TestContext): Pair {
  const [a, b] = [uniqueName('bfa'), uniqueName('bfb')];
  for (const name of [a, b]) {
    ip('netns', 'add', name);
    t.after(() => ip('netns', 'del', name));
    ip('-n', name, 'link', 'set', 'lo', 'up');
  }
  ip('-n', a, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', b);
  for (const [name, number] of [
    [a, 1],
    [b, 2],
  ] as const) {
    ip('-n', name, 'addr', 'add', `10.98.0.${number}/24`, 'dev', 'eth0');
    ip('-n', name, 'addr', 'add', `fd98::${number}/64`, 'dev', 'eth0', 'nodad');
    ip('-n', name, 'link', 'set', 'eth0', 'up');
  }
  return {
    a: new BfdHost(t, a),
    b: new BfdHost(t, b),
    v4: { a: '10.98.0.1', b: '10.98.0.2' },
    v6: { a: 'fd98::1', b: 'fd98::2' },
  };
}
