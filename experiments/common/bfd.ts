/** The bfd process in a named network namespace, and the lease that an agent would hand it. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BfdClient } from '../../adapters/bfd/client';
import type { Attachment } from '../../adapters/bfd/client';
import type { BfdReport, Lease, LeasedSession } from '../../core/announce/types';
import { SYSTEM_PATH } from '../../lab/host';
import { ROOT } from '../../lab/tools';
import { eventually } from '../../lab/wait';

const RENEW_MS = 250;
const READY_WITHIN_MS = 20_000;

export const plainSession = (
  address: string,
  timers: { intervalMs: number; multiplier: number },
  more: Partial<LeasedSession> = {},
): LeasedSession => ({
  address,
  multihop: false,
  local: null,
  bgp: false,
  holdDownMs: 1_000,
  ...timers,
  ...more,
});

export const plainLease = (asn: number, more: Pick<Lease, 'paths' | 'sessions'>): Lease => ({
  asn,
  graceMs: 30_000,
  ...more,
});

/** Ends it, and resolves when it has ended. */
export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill(signal);
  await exit;
}

export class BfdWorker {
  private readonly directory = mkdtempSync(join(tmpdir(), 'aether-bfd-'));
  private readonly client = new BfdClient(join(this.directory, 'bfd.sock'));
  private attachment: Attachment | null = null;
  private renewing: NodeJS.Timeout | null = null;
  private child: ChildProcess;

  /** `gobgpSocket`: of the gobgpd that it speaks to; null: there is none. */
  constructor(
    private readonly namespace: string,
    private readonly gobgpSocket: string | null = null,
  ) {
    this.child = this.spawn();
  }

  private spawn(): ChildProcess {
    const argv = ['netns', 'exec', this.namespace, process.execPath];
    return spawn('ip', [...argv, join(ROOT, 'dist/workers/bfd.js')], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        PATH: SYSTEM_PATH,
        AETHER_BFD_SOCKET: join(this.directory, 'bfd.sock'),
        AETHER_GOBGP_SOCKET: this.gobgpSocket ?? join(this.directory, 'none.sock'),
        AETHER_STATE_DIR: join(this.directory, 'state'),
        AETHER_METRICS_LISTEN: '127.0.0.1:0',
        AETHER_LOG_LEVEL: 'error',
      },
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** As an agent does: the whole once, then renewals; anew when the stream has ended. */
  lease(lease: Lease): void {
    const attach = (): void => {
      this.attachment = this.client.attach(
        () => undefined,
        () => (this.attachment = null),
      );
      this.attachment.lease(lease);
    };
    attach();
    this.renewing = setInterval(() => {
      if (this.attachment === null) attach();
      else this.attachment.lease(null);
    }, RENEW_MS);
  }

  look(): Promise<BfdReport> {
    return this.client.look();
  }

  /** Resolves with the report when `count` sessions are up and transmit as often as configured. */
  up(count: number, intervalMs: number): Promise<BfdReport> {
    const look = async (): Promise<BfdReport> => {
      const report = await this.look();
      const good = report.sessions.filter(
        ({ state, transmitIntervalMs }) => state === 'up' && transmitIntervalMs === intervalMs,
      );
      if (good.length !== count) throw new Error(JSON.stringify(report.sessions.slice(0, 2)));
      return report;
    };
    return eventually(`${count} sessions are up`, look, { within: READY_WITHIN_MS });
  }

  /** A planned restart: it ends, and the next one begins at once. */
  async restart(): Promise<void> {
    await end(this.child, 'SIGTERM');
    this.child = this.spawn();
    await eventually('bfd answers', () => this.look(), { within: READY_WITHIN_MS });
  }

  async stop(): Promise<void> {
    if (this.renewing !== null) clearInterval(this.renewing);
    this.attachment?.close();
    this.client[Symbol.dispose]();
    await end(this.child, 'SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}
