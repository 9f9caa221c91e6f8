/**
 * One controller, wired: etcd says what is wanted, streams bring it to the edges, Temporal decides
 * over time. It serves operators and edges whatever else is down, and catches up when that returns.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { createClusterActivities } from '../../activities/cluster';
import { serveAdmin } from '../../adapters/admin/server';
import { AdminError } from '../../adapters/admin/proto';
import { serveEdgeStreams } from '../../adapters/edge-stream/server';
import { EtcdClient } from '../../adapters/etcd/client';
import { listWatch } from '../../adapters/etcd/watch';
import { unchanged } from '../../adapters/etcd/port';
import { serveMetrics } from '../../adapters/telemetry/metrics';
import type { NodeName } from '../../core/model/ids';
import { keys } from '../../core/model/keys';
import type { DriftReport, RepairRecord } from '../../core/model/messages';
import { shardOf } from '../../core/ring/shard';
import type { ControllerConfig } from '../config/controller';
import { Admin } from './admin';
import { ControllerCluster } from './cluster-port';
import { type Concerned, DesiredState } from './desired';
import { Edges, type ReportSink } from './edges';
import { Handoff } from './handoff';
import { Lifecycles } from './lifecycles';
import { createControllerMetrics } from './metrics';
import { Shards } from './shards';
import { TemporalSide } from './temporal';

export const VERSION = '0.1.0';

/** The picture of etcd counts as fresh for so long; the watch moves about once a second. */
const ETCD_FRESH_MS = 5_000;

export interface RunningController {
  /** Stops serving, gives its shards back, and lets activities under way end. */
  stop(): Promise<void>;
}

export async function startController(
  config: ControllerConfig,
  log: Logger,
): Promise<RunningController> {
  const controller = new Controller(config, log);
  await controller.start();
  return controller;
}

class Controller implements RunningController, ReportSink {
  readonly #stopping = new AbortController();
  readonly #metrics = createControllerMetrics();
  readonly #desired = new DesiredState();
  readonly #etcd: EtcdClient;
  readonly #shards: Shards;
  readonly #edges: Edges;
  readonly #handoff: Handoff;
  readonly #lifecycles: Lifecycles;
  readonly #cluster: ControllerCluster;
  readonly #temporal: TemporalSide;
  readonly #running: Promise<void>[] = [];
  readonly #servers: { close(): void | Promise<void> }[] = [];
  readonly #dirty = new Set<NodeName>();
  /** Shards that have or had nodes: what takes a node away goes on after its keys are gone. */
  readonly #served = new Set<number>();
  readonly #told = new Map<string, string>();
  #allDirty = false;
  #flushing = false;
  #etcdHeardAtMs = -Infinity;

  constructor(
    private readonly config: ControllerConfig,
    private readonly log: Logger,
  ) {
    const { endpoints, tls } = config.etcd;
    const { signal } = this.#stopping;
    const metrics = this.#metrics;
    this.#etcd = new EtcdClient({ endpoints, writer: config.id, ...(tls ? { tls } : {}) });
    this.#shards = new Shards(this.#etcd, config.id, log);
    this.#handoff = new Handoff({
      signal,
      onRetry: (key, error, attempt) => {
        metrics.handoffRetries.inc();
        // An outage is one line for each thing that waits for its end.
        const level = attempt === 1 ? 'warn' : 'debug';
        log[level]({ err: error, what: key, attempt }, 'Temporal did not take it yet');
      },
      onDone: (key, waitedMs) => {
        const what = key.slice(0, key.indexOf('/'));
        metrics.handoffSeconds.observe({ what }, waitedMs / 1000);
      },
    });
    const temporal = () => this.#temporal.whenConnected();
    this.#edges = new Edges({
      desired: this.#desired,
      shards: this.#shards,
      sink: this,
      metrics,
      log,
    });
    this.#lifecycles = new Lifecycles({
      desired: this.#desired,
      owns: (node) => this.#shards.holds(shardOf(node)),
      handoff: this.#handoff,
      temporal,
    });
    this.#cluster = new ControllerCluster({
      etcd: this.#etcd,
      desired: this.#desired,
      shards: this.#shards,
      edges: this.#edges,
      temporal,
      retry: (node) => this.#retry(node),
    });
    this.#temporal = new TemporalSide({
      config: config.temporal,
      identity: config.id,
      workflowBundle: config.workflowBundle,
      auditEveryMs: config.auditEveryMs,
      activities: createClusterActivities(this.#cluster),
      log,
      signal,
      onHealth: (up) => metrics.temporalUp.set(up ? 1 : 0),
      onActivity: (waitedMs) => metrics.queueLatencySeconds.observe(waitedMs / 1000),
    });
  }

  async start(): Promise<void> {
    const { config, log } = this;
    const { signal } = this.#stopping;
    try {
      this.#servers.push(await serveMetrics(config.metricsListen, this.#metrics.registry));
      const { listen, tls } = config.edges;
      const options = { listen, tls, controller: config.id };
      this.#servers.push(await serveEdgeStreams(options, this.#edges));
      const admin = this.#admin().port();
      this.#servers.push(
        await serveAdmin(config.adminSocket, admin, (verb, error) =>
          log.error({ err: error, verb }, 'an admin call failed'),
        ),
      );
    } catch (error) {
      await this.stop();
      throw error;
    }
    log.info({ edges: config.edges.listen, admin: config.adminSocket }, 'serving');
    this.#running.push(
      this.#shards.run(signal, () => this.#mark('all')),
      this.#serveUnfinished(),
      this.#watch(),
      this.#temporal.run(),
    );
    const gauges = setInterval(() => this.#gauge(), 1_000);
    signal.addEventListener('abort', () => clearInterval(gauges), { once: true });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#servers.map(async (server) => server.close()));
    await Promise.all(this.#running);
    this.#etcd.close();
  }

  // ---- What edges report (ReportSink) ---------------------------------------------------------

  drift(report: DriftReport, done: () => void): void {
    const { node, incidentId, planHash, revision } = report;
    this.#handoff.submit(`drift/${node}`, {
      id: `${incidentId}/${planHash}/${revision}`,
      send: async () =>
        (await this.#temporal.whenConnected()).reportDrift(this.#facts(node), report),
      done,
    });
  }

  record(node: NodeName, record: RepairRecord, done: () => void): void {
    const id = `${record.incidentId}/${record.atMs}`;
    this.#handoff.submit(`record/${node}/${id}`, {
      id,
      send: async () =>
        (await this.#temporal.whenConnected()).reportAgentRepair(this.#facts(node), record),
      done,
    });
  }

  connected(node: NodeName): void {
    this.#lifecycles.retry(node);
  }

  // ---- From what is wanted to what is done ----------------------------------------------------

  async #watch(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        for await (const item of listWatch(this.#etcd, { prefix: keys.root }, signal)) {
          this.#etcdHeardAtMs = performance.now();
          this.#mark(this.#desired.apply(item));
          this.#tellProblems();
        }
      } catch (error) {
        this.log.error({ err: error }, 'the watch of etcd ended; beginning anew');
        await sleep(1_000, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** Values that can't be read are ignored, so somebody has to hear of them. */
  #tellProblems(): void {
    for (const [key, reason] of this.#desired.problems) {
      if (this.#told.get(key) === reason) continue;
      this.#told.set(key, reason);
      this.log.error({ key, reason }, 'a value in etcd is ignored; the last good one stands');
    }
    for (const key of this.#told.keys()) {
      if (!this.#desired.problems.has(key)) this.#told.delete(key);
    }
  }

  /** Notes what to look at again. One look follows all that came in at once, e.g. by one write. */
  #mark(concerned: Concerned): void {
    if (concerned === 'all') this.#allDirty = true;
    else for (const node of concerned.nodes) this.#dirty.add(node);
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => void this.#flush());
  }

  async #flush(): Promise<void> {
    try {
      if (!this.#desired.ready) return;
      const { signal } = this.#stopping;
      this.#shards.sawCluster(this.#desired.cluster?.revision ?? 0);
      for (const shard of this.#desired.shards()) this.#served.add(shard);
      const free = [...this.#served].filter((shard) => !this.#shards.holds(shard));
      if (free.length > 0) await this.#claim(free);
      if (signal.aborted) return;
      const nodes = this.#allDirty ? this.#desired.names() : [...this.#dirty];
      this.#allDirty = false;
      this.#dirty.clear();
      this.#temporal.setShards([...this.#served].filter((shard) => this.#shards.holds(shard)));
      for (const node of nodes) {
        this.#edges.push(node);
        this.#lifecycles.check(node);
      }
    } catch (error) {
      this.log.error({ err: error }, 'a look at what is wanted failed');
    } finally {
      this.#flushing = false;
      if (this.#desired.ready && (this.#allDirty || this.#dirty.size > 0)) {
        this.#mark({ nodes: [] });
      }
    }
  }

  /** Shards of nodes that are being taken away, whose keys may be gone already. */
  async #serveUnfinished(): Promise<void> {
    const { signal } = this.#stopping;
    const stopped = new Promise<null>((resolve) => {
      signal.addEventListener('abort', () => resolve(null), { once: true });
    });
    const temporal = await Promise.race([this.#temporal.whenConnected(), stopped]);
    while (temporal && !signal.aborted) {
      try {
        for (const node of await temporal.nodesBeingRemoved()) this.#served.add(shardOf(node));
        return this.#mark({ nodes: [] });
      } catch (error) {
        this.log.warn({ err: error }, 'could not ask for unfinished removals; trying again');
        await sleep(1_000, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** Claims shards; what becomes ours by that is looked at as a whole. */
  async #claim(shards: readonly number[]): Promise<void> {
    try {
      await this.#shards.claim(shards);
    } catch (error) {
      this.log.warn({ err: error }, 'shards could not be claimed; trying again');
    }
    if (shards.some((shard) => this.#shards.holds(shard))) this.#allDirty = true;
  }

  /** Everything that can be tried for a node that is not as it shall be. */
  #retry(node: NodeName): void {
    this.#edges.resend(node);
    this.#lifecycles.retry(node);
    const report = this.#edges.get(node)?.report;
    if (report) this.drift(report, () => undefined);
  }

  #facts(node: NodeName) {
    const resource = this.#desired.inputs(node).node?.value.resource;
    return { node, region: resource?.metadata.region ?? null };
  }

  #admin(): Admin {
    const { config } = this;
    return new Admin({
      etcd: this.#etcd,
      guard: () => {
        const { cluster } = this.#desired;
        if (cluster) return unchanged(keys.cluster, cluster.revision);
        throw new AdminError({
          code: 'unavailable',
          message: 'etcd was not in reach since this controller started; nothing was written.',
        });
      },
      desired: this.#desired,
      edges: this.#edges,
      temporal: () => this.#temporal.client,
      temporalUp: () => this.#temporal.up,
      reconsider: (node) =>
        this.#handoff.submit(`reconsider/${node}`, {
          id: '',
          send: async () => (await this.#temporal.whenConnected()).reconsider(node),
          done: () => undefined,
        }),
      status: () => ({
        controller: config.id,
        version: VERSION,
        clusterIncarnation: this.#shards.cluster?.incarnation ?? 0,
        shardsOwned: this.#shards.owned.length,
        etcd: { ok: this.#etcdUp(), endpoints: config.etcd.endpoints },
        temporal: {
          ok: this.#temporal.up,
          address: config.temporal.connectionOptions.address ?? 'localhost:7233',
          namespace: config.temporal.namespace ?? 'default',
          uiUrl: config.temporalUiUrl,
        },
      }),
      log: this.log,
    });
  }

  #etcdUp(): boolean {
    return performance.now() - this.#etcdHeardAtMs < ETCD_FRESH_MS;
  }

  #gauge(): void {
    this.#metrics.etcdUp.set(this.#etcdUp() ? 1 : 0);
    this.#metrics.shardsOwned.set(this.#shards.owned.length);
    this.#metrics.nodes.set(this.#desired.names().length);
    this.#metrics.handoffWaiting.set(this.#handoff.waiting);
    this.#metrics.unreadableKeys.set(this.#desired.problems.size);
    // A shard that another one held, or that etcd refused: claimed as soon as it can be.
    const free = [...this.#served].some((shard) => !this.#shards.holds(shard));
    if (free && !this.#flushing) this.#mark({ nodes: [] });
  }
}
