/**
 * The agent's activity worker on `edge/<node>`: reaches Temporal through the activity gateway of the
 * controller that the edge stream leads to, in the background and for ever. Nothing else waits for it;
 * without Temporal the agent guards its host all the same.
 */
import { X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { activityInfo } from '@temporalio/activity';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { createEdgeActivities, type EdgePort } from '../../activities/edge';
import { EDGE_NAMESPACE } from '../../adapters/gateway/rules';
import { PemFiles, type PemPaths } from '../../adapters/grpc/tls';
import type { Logger } from '../../adapters/telemetry/logger';
import { connectTemporal } from '../../adapters/temporal/connection';
import { pollers } from '../../adapters/temporal/workers';
import { edgeQueue } from '../../core/model/ids';
import type { EdgeConfig } from '../config/edge';
import type { Guard } from './guard';
import { Tunnel } from './tunnel';

const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 5_000;

export class TemporalWorker {
  private worker: Worker | null = null;
  private tunnel: Tunnel | null = null;
  private readonly stopping = new AbortController();
  /** A Worker runs, whether or not what it asks leads anywhere. */
  private running = false;
  /** Why there is none. */
  private lastWhy = '';
  /** Ends the pause before the next try. */
  private wake: () => void = () => undefined;
  private ended: Promise<void> = Promise.resolve();

  constructor(
    private readonly config: Pick<EdgeConfig, 'node' | 'tls'>,
    private readonly guard: Guard,
  ) {}

  start(): void {
    this.ended = this.runForEver();
  }

  /** Lets an activity under way end, for as long as `shutdownForceTime` allows. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.tunnel?.waitNoMore();
    if (this.worker?.getState() === 'RUNNING') this.worker.shutdown();
    await this.ended;
    this.tunnel?.close();
  }

  private async runForEver(): Promise<void> {
    // A stream that is accepted is a reason to try at once.
    this.guard.stream.onChange(() => this.guard.stream.gateway && this.wake());
    for (let failures = 0; !this.stopping.signal.aborted; failures++) {
      try {
        await this.runOnce(() => {
          failures = 0;
          this.lastWhy = '';
          this.show(true);
        });
      } catch (error) {
        const why = (error as Error).message;
        if (why !== this.lastWhy) this.guard.log.warn({ why }, 'no Temporal worker');
        this.lastWhy = why;
      }
      this.show(false);
      const woken = new AbortController();
      this.wake = () => woken.abort();
      await this.pause(Math.min(RETRY_FIRST_MS * 2 ** failures, RETRY_MAX_MS), woken.signal);
    }
  }

  private async runOnce(onRunning: () => void): Promise<void> {
    const { node, tls } = this.config;
    const identity = `${node}@${process.pid}`;
    this.tunnel ??= await this.openTunnel();
    if (this.stopping.signal.aborted) return;
    const config = {
      connectionOptions: { address: this.tunnel.address },
      namespace: EDGE_NAMESPACE,
    };
    const { connection, namespace } = await connectTemporal(config, identity);
    const ended = new AbortController();
    const files = this.watchCertificate(tls, ended.signal);
    try {
      const worker = await Worker.create({
        connection,
        namespace,
        identity,
        taskQueue: edgeQueue(node),
        activities: createEdgeActivities(timed(this.guard)),
        // It polls again as soon as one has brought a task: none waits behind a repair (decision 0190).
        activityTaskPollerBehavior: pollers(1),
        shutdownGraceTime: '5s',
        // Without it, `run` never settles after a fatal error while an activity hangs.
        shutdownForceTime: '15s',
      });
      this.worker = worker;
      if (this.stopping.signal.aborted) return;
      onRunning();
      this.guard.log.info({}, 'polling for activities');
      await worker.run();
    } finally {
      ended.abort();
      files.close();
      this.worker = null;
      await connection.close();
    }
  }

  /** A newer one is shown at once: the former one may be somebody else's as well (decision 0160). */
  private watchCertificate(paths: PemPaths, ended: AbortSignal): PemFiles {
    const files = PemFiles.open(paths).watch();
    this.certified(files);
    files.onChange(() => {
      this.certified(files);
      if (files.problem === null) void this.renew(ended);
    });
    return files;
  }

  private async renew(ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      try {
        await this.guard.stream.renew();
        this.guard.log.info({}, 'connected with the new certificate');
        return;
      } catch (error) {
        this.guard.log.warn({ why: (error as Error).message }, 'not connected anew yet');
        await this.pause(RETRY_MAX_MS);
      }
    }
  }

  private certified({ cert, paths, problem }: PemFiles): void {
    const { metrics, log } = this.guard;
    metrics.certificateExpiry.set(Date.parse(new X509Certificate(cert).validTo) / 1000);
    const path = paths.cert;
    if (problem !== null) log.error({ path, problem }, 'the certificate on the disk is not taken');
  }

  private async openTunnel(): Promise<Tunnel> {
    const tunnel = await Tunnel.open(this.guard.stream);
    let told: string | null = null;
    tunnel.onProblem(() => {
      const { problem } = tunnel;
      this.show(this.running);
      if (problem === told || this.guard.stream.gateway === null) return;
      told = problem;
      if (problem === null) this.guard.log.info({}, 'polling for activities again');
      else this.guard.log.warn({ why: problem }, 'polls for activities are refused');
    });
    return tunnel;
  }

  private show(running: boolean): void {
    this.running = running;
    const { temporal, metrics } = this.guard;
    temporal.why = this.tunnel?.problem ?? (running ? null : this.lastWhy || null);
    temporal.connected = running && temporal.why === null;
    metrics.connected.set({ to: 'temporal' }, temporal.connected ? 1 : 0);
  }

  private async pause(delayMs: number, woken?: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([this.stopping.signal, ...(woken ? [woken] : [])]);
    await sleep(delayMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Once a process. Signals are the composition root's; its own noise is ours to write. */
export function installRuntime(log: Logger): void {
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
