/**
 * The agent's activity worker on `edge/<node>`: connects in the background and for ever. Nothing
 * else waits for it; without Temporal the agent guards its host all the same.
 */
import { activityInfo } from '@temporalio/activity';
import type { ClientConnectConfig } from '@temporalio/envconfig';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { createEdgeActivities, type EdgePort } from '../../activities/edge';
import { connectTemporal } from '../../adapters/temporal/connection';
import type { Logger } from '../../adapters/telemetry/logger';
import { edgeQueue } from '../../core/model/ids';
import type { Guard } from './guard';

const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 5_000;

export class TemporalWorker {
  private worker: Worker | null = null;
  private stopping = false;
  private wake: () => void = () => undefined;
  private ended: Promise<void> = Promise.resolve();

  constructor(
    private readonly node: string,
    private readonly config: ClientConnectConfig,
    private readonly guard: Guard,
  ) {}

  start(): void {
    installRuntime(this.guard.log);
    this.ended = this.runForEver();
  }

  /** Lets an activity under way end, for as long as `shutdownForceTime` allows. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.wake();
    if (this.worker?.getState() === 'RUNNING') this.worker.shutdown();
    await this.ended;
  }

  private async runForEver(): Promise<void> {
    let lastWhy = '';
    for (let failures = 0; !this.stopping; failures++) {
      try {
        await this.runOnce(() => {
          failures = 0;
          lastWhy = '';
        });
      } catch (error) {
        const why = (error as Error).message;
        if (why !== lastWhy) this.guard.log.warn({ why }, 'no Temporal worker');
        lastWhy = why;
      }
      this.show(false);
      await this.pause(Math.min(RETRY_FIRST_MS * 2 ** failures, RETRY_MAX_MS));
    }
  }

  private async runOnce(onRunning: () => void): Promise<void> {
    const identity = `${this.node}@${process.pid}`;
    const { connection, namespace, address } = await connectTemporal(this.config, identity);
    try {
      const worker = await Worker.create({
        connection,
        namespace,
        identity,
        taskQueue: edgeQueue(this.node),
        activities: createEdgeActivities(timed(this.guard)),
        // One plan at a time; the second poller keeps status from waiting behind a repair.
        maxConcurrentActivityTaskPolls: 2,
        shutdownGraceTime: '5s',
        // Without it, `run` never settles after a fatal error while an activity hangs.
        shutdownForceTime: '15s',
      });
      this.worker = worker;
      if (this.stopping) return;
      this.show(true);
      onRunning();
      this.guard.log.info({ address, namespace }, 'polling for activities');
      await worker.run();
    } finally {
      this.worker = null;
      await connection.close();
    }
  }

  private show(connected: boolean): void {
    this.guard.temporal.connected = connected;
    this.guard.metrics.connected.set({ to: 'temporal' }, connected ? 1 : 0);
  }

  private pause(delayMs: number): Promise<void> {
    if (this.stopping) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, delayMs);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Once a process. Signals are the composition root's; its own noise is ours to write. */
function installRuntime(log: Logger): void {
  Runtime.install({
    shutdownSignals: [],
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => {
      log[level === 'ERROR' ? 'error' : 'warn']({ temporal: meta }, message);
    }),
  });
}

/** Notes how long each task waited between Temporal and here. */
function timed({ port, metrics }: Guard): EdgePort {
  const arrived = (): void => {
    const waitedMs = Date.now() - activityInfo().currentAttemptScheduledTimestampMs;
    metrics.queueLatencySeconds.observe({ value: Math.max(0, waitedMs) / 1000 });
  };
  return {
    reconcile: (request) => (arrived(), port.reconcile(request)),
    remove: (request) => (arrived(), port.remove(request)),
    noteDecision: (note) => (arrived(), port.noteDecision(note)),
    status: () => (arrived(), port.status()),
  };
}
