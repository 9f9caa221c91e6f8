/** The agent's hands and eyes: looks, jobs and the subscription, over one HostPort. */
import type { Logger } from '../../adapters/telemetry/logger';
import { reconcile } from '../../activities/reconcile';
import { hostEvidence, type HostEvidence } from '../../core/announce/host';
import type { Effect, Look } from '../../core/edge/types';
import type { EdgeSpec } from '../../core/model/edge-spec';
import type { HostEvent, HostPort, Ledger } from '../../core/model/host';
import type { ReconcileResult } from '../../core/model/messages';
import { observeScope } from '../../core/plan/observe-scope';
import { plan, summaries } from '../../core/plan/plan';
import { findingKey } from '../../core/plan/types';
import { epochMs, monotonicMs } from '../clock';
import type { EdgeMetrics } from './metrics';
import type { Problems } from './problems';

const WATCH_RETRY_MS = 5_000;

export interface HostWorkParts {
  host: HostPort;
  files: { saveLedger(ledger: Ledger): Promise<void> };
  onEvent(event: HostEvent): void;
  problems: Problems;
  log: Logger;
  metrics: EdgeMetrics;
}

export class HostWork {
  private subscription: { scope: string; close(): void } | null = null;
  /** Whose scope is to be subscribed to. */
  private watched: EdgeSpec | null = null;
  /** Settled once what was last asked to be watched is watched (or could not be). */
  private watching: Promise<void> = Promise.resolve();
  private running: Promise<unknown> = Promise.resolve();
  private retry: NodeJS.Timeout | null = null;
  private closed = false;

  constructor(
    private readonly parts: HostWorkParts,
    private ledger: Ledger,
  ) {}

  /** Subscribes to what `spec` names, and lets go of the former subscription after that. */
  watch(spec: EdgeSpec): void {
    this.watched = spec;
    this.watchAgain();
  }

  private watchAgain(): void {
    if (this.retry !== null) clearTimeout(this.retry);
    this.retry = null;
    this.watching = this.watching.then(() => this.subscribe());
  }

  /** Null where the host could not be read. Waits for the subscription: no change falls between. */
  async look(spec: EdgeSpec, specHash: string): Promise<Look | null> {
    await this.watching;
    const { host, metrics, problems } = this.parts;
    const end = metrics.lookSeconds.startTimer();
    try {
      const observed = await host.observe(observeScope(spec, this.ledger));
      const { filterTag } = host;
      const found = plan({ spec, observed, ledger: this.ledger, filterTag, stages: null });
      problems.clear('look');
      return { specHash, findings: found.findings, plan: summaries(found), planHash: found.hash };
    } catch (error) {
      problems.set('look', `the host can't be read: ${(error as Error).message}`);
      return null;
    } finally {
      end();
    }
  }

  /** What the host proves of the spec's services now; null where it could not be read. Beside any job. */
  async prove(spec: EdgeSpec): Promise<HostEvidence | null> {
    const { host, problems } = this.parts;
    const atMs = monotonicMs();
    const scope = {
      namespaces: [...new Set(spec.services.map(({ namespace }) => namespace))],
      sysctls: {},
      filters: spec.filters.map((filter) => filter.interface),
    };
    try {
      const observed = await host.observe(scope);
      const { filterTag } = host;
      const input = { spec, observed, ledger: this.ledger, filterTag, stages: null };
      problems.clear('proof');
      return hostEvidence(input, spec.services, atMs);
    } catch (error) {
      problems.set('proof', `services can't be proven: ${(error as Error).message}`);
      return null;
    }
  }

  run(start: Extract<Effect, { kind: 'start' }>): Promise<ReconcileResult> {
    const result = this.reconcile(start);
    this.running = result;
    return result;
  }

  /** Resolves when no job is under way. */
  async idle(): Promise<void> {
    await this.running;
  }

  close(): void {
    this.closed = true;
    if (this.retry !== null) clearTimeout(this.retry);
    this.subscription?.close();
    this.parts.host.close();
  }

  private async reconcile({
    job,
    accepted,
    kernelAtMs,
  }: Extract<Effect, { kind: 'start' }>): Promise<ReconcileResult> {
    const { host, metrics, log } = this.parts;
    const { fence, stages, incidentId } = job.request;
    const { workflowId } = fence;
    const { revision } = accepted.spec;
    const port = { host, saveLedger: (ledger: Ledger) => this.saveLedger(ledger) };
    const input = {
      spec: accepted.spec,
      ledger: this.ledger,
      stages,
      remove: job.kind === 'remove',
      planHash: fence.planHash,
    };
    const { ledger: _, ...done } = await reconcile(input, port, epochMs);
    const repaired = done.outcome === 'converged' && kernelAtMs !== null;
    // The time of day may have been set meanwhile.
    const repairedInMs = repaired ? Math.max(0, done.finishedAtMs - kernelAtMs) : null;
    const result = { ...done, revision, repairedInMs };
    const { outcome, applied, reason } = result;
    const tookMs = done.finishedAtMs - done.startedAtMs;
    metrics.reconcileSeconds.observe({
      labels: { outcome },
      value: tookMs / 1000,
      exemplarLabels: { incident_id: incidentId },
    });
    const facts = { incident: incidentId, workflow: workflowId || null, by: job.by, stages };
    const found = done.found.map(findingKey);
    log.info({ ...facts, outcome, found, applied, reason, tookMs }, `${job.kind} ended`);
    return result;
  }

  private async saveLedger(ledger: Ledger): Promise<void> {
    await this.parts.files.saveLedger(ledger);
    this.ledger = ledger;
  }

  /** To what is wanted by now: another spec may have come while this waited for its turn. */
  private async subscribe(): Promise<void> {
    if (this.closed || this.watched === null) return;
    const scope = observeScope(this.watched, this.ledger);
    const text = JSON.stringify(scope);
    if (this.subscription?.scope === text) return;
    const { host, onEvent, problems } = this.parts;
    try {
      const fresh = await host.watch(scope, onEvent);
      this.subscription?.close();
      this.subscription = { scope: text, close: () => fresh.close() };
      problems.clear('watch');
      if (this.closed) fresh.close();
    } catch (error) {
      problems.set('watch', `changes of the host are not heard: ${(error as Error).message}`);
      if (!this.closed) this.retry ??= setTimeout(() => this.watchAgain(), WATCH_RETRY_MS);
    }
  }
}
