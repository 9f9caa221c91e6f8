/**
 * One controller, wired: etcd says what is wanted, streams bring it to the edges, Temporal decides
 * over time. It serves operators and edges whatever else is down, and catches up when that returns.
 */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { adminServed, type AdminServing, serveAdmin } from '../../adapters/admin/server';
import { AdminError } from '../../adapters/admin/proto';
import { serveEdgeStreams } from '../../adapters/edge-stream/server';
import { ChunkStore } from '../../adapters/etcd/chunks';
import { EtcdClient } from '../../adapters/etcd/client';
import { type Condition, unchanged, type WatchItem } from '../../adapters/etcd/port';
import { LeaseKeeper } from '../../adapters/etcd/lease-keeper';
import { GobgpObserver } from '../../adapters/gobgp/observer';
import { serveMtls } from '../../adapters/grpc/mtls';
import type { TemporalClient } from '../../adapters/temporal/client';
import { auditTo } from '../../adapters/telemetry/logger';
import { serveMetrics } from '../../adapters/telemetry/metrics';
import type { NodeName } from '../../core/model/ids';
import { keys } from '../../core/model/keys';
import { shardOf } from '../../core/ring/shard';
import type { ControllerValue } from '../../core/model/values';
import type { ControllerConfig } from '../config/controller';
import { Admin } from './admin';
import { Blobs } from './blobs';
import { Certificates } from './certificates';
import { ControllerCluster, nodeFacts } from './cluster-port';
import { DesiredState } from './desired';
import { Edges } from './edges';
import { EtcdWatch } from './etcd-watch';
import { FeedSchedules } from './feed-schedules';
import { gaugeDesired } from './gauges';
import { GatewaySide } from './gateway';
import { GossipSide } from './gossip-side';
import { countedHandoff, type Handoff } from './handoff';
import { Lifecycles } from './lifecycles';
import { createControllerMetrics } from './metrics';
import { Observers } from './observers';
import { ownStatus } from './own-status';
import { Others } from './others';
import { registrationOf } from './registration';
import { Reports } from './report-sink';
import { RingSide } from './ring-side';
import { RoutingSide } from './routing-side';
import { createShardActivities } from './shard-activities';
import { Shards } from './shards';
import { Standing } from './standing';
import { Sweep } from './sweep';
import { TemporalSide } from './temporal';
import { Upkeep } from './upkeep';

export interface RunningController {
  /** Hands its shards over, stops serving, and lets activities under way end. */
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

class Controller implements RunningController {
  readonly #stopping = new AbortController();
  readonly #metrics = createControllerMetrics();
  readonly #desired = new DesiredState();
  readonly #etcd: EtcdClient;
  readonly #blobs: Blobs;
  readonly #leases: LeaseKeeper;
  readonly #shards: Shards;
  readonly #standing: Standing;
  readonly #edges: Edges;
  readonly #others: Others;
  readonly #handoff: Handoff;
  readonly #lifecycles: Lifecycles;
  readonly #cluster: ControllerCluster;
  readonly #observers: Observers;
  readonly #routing: RoutingSide;
  readonly #ring: RingSide;
  readonly #gossip: GossipSide;
  readonly #temporal: TemporalSide;
  readonly #upkeep: Upkeep;
  readonly #sweep: Sweep;
  readonly #gateway: GatewaySide;
  readonly #watch: EtcdWatch;
  readonly #certificates: Certificates;
  readonly #running: Promise<void>[] = [];
  readonly #servers: { close(): void | Promise<void> }[] = [];

  constructor(
    private readonly config: ControllerConfig,
    private readonly log: Logger,
  ) {
    const { endpoints, tls } = config.etcd;
    const metrics = this.#metrics;
    this.#etcd = new EtcdClient({ endpoints, writer: config.id, ...(tls ? { tls } : {}) });
    this.#blobs = new Blobs(new ChunkStore(this.#etcd));
    const registration = registrationOf(config);
    this.#leases = new LeaseKeeper({ endpoints, writer: config.id, tls: tls?.paths ?? null });
    this.#shards = new Shards(this.#etcd, config.id, registration, log, this.#leases);
    const temporal = () => this.#temporal.whenConnected();
    this.#handoff = countedHandoff(this.#stopping.signal, temporal, metrics, log);
    this.#standing = new Standing(this.#etcd, this.#desired, () => this.#guard(), log);
    const sink = new Reports({
      handoff: this.#handoff,
      temporal,
      facts: (node) => nodeFacts(this.#desired, node),
      lifecycles: () => this.#lifecycles,
      routing: () => this.#routing,
    });
    this.#edges = new Edges({
      desired: this.#desired,
      shards: this.#shards,
      standing: this.#standing,
      place: (shard) => this.#ring.place(shard),
      controllers: () =>
        this.#desired.controllers().map(([id, value]) => ({ id, address: value.edgeAddress })),
      sink,
      chunk: (sha256) => this.#blobs.chunks.get(sha256),
      changed: (node) => this.#others.tell(node),
      fenced: (shard, heard) => void this.#ring.doubts.heard(shard, heard),
      metrics,
      log,
    });
    this.#others = this.#othersThan(registration);
    this.#lifecycles = new Lifecycles({
      desired: this.#desired,
      owns: (node) => this.#shards.keeps(shardOf(node)),
      connected: (node) => this.#edges.get(node)?.session != null,
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
    this.#observers = new Observers(
      config.observers.map(({ name, address }) => ({ name, port: new GobgpObserver(address) })),
      () => this.#others.fleet.places(),
    );
    this.#routing = this.#routingSide(temporal);
    this.#temporal = this.#temporalSide();
    this.#ring = this.#ringSide();
    this.#gossip = this.#gossipSide(registration.boot);
    this.#upkeep = this.#upkeepOf(temporal);
    this.#certificates = new Certificates(config, metrics, log);
    this.#gateway = new GatewaySide(this.#etcd, config.temporal, this.#standing, metrics, log);
    this.#watch = this.#etcdWatch();
    this.#sweep = new Sweep({
      etcd: this.#etcd,
      desired: this.#desired,
      guard: () => this.#guard(),
      log,
    });
  }

  async start(): Promise<void> {
    const { config, log } = this;
    const { signal } = this.#stopping;
    try {
      this.#servers.push(await serveMetrics(config.metricsListen, this.#metrics.registry));
      const { tls } = config.edges;
      const cluster = () => this.#edges.hint();
      const beside = this.#gateway.gateway;
      const options = { ...config.edges, controller: config.id, cluster, beside };
      this.#servers.push(this.#certificates, this.#others, this.#gossip);
      this.#servers.push(this.#gateway, await serveEdgeStreams(options, this.#edges));
      await this.#gossip.start();
      const admin: AdminServing = {
        port: this.#admin().port(),
        audit: auditTo(log),
        onError: (verb, error) => log.error({ err: error, verb }, 'an admin call failed'),
      };
      if (config.adminListen !== null) {
        const both = [adminServed(admin), this.#others.served()];
        this.#servers.push(await serveMtls(config.adminListen, tls, both));
      }
      this.#servers.push(await serveAdmin(config.adminSocket, admin));
    } catch (error) {
      await this.stop();
      throw error;
    }
    log.info({ edges: config.edges.listen, admin: config.adminSocket }, 'serving');
    this.#certificates.watch(() => {
      this.#gateway.renew();
      void this.#temporal.renew();
    });
    this.#running.push(
      this.#shards.run(signal, () => this.#ring.look()),
      this.#upkeep.serveUnfinished(),
      this.#watch.run(),
      this.#temporal.run(),
      this.#sweep.runForEver(signal),
      this.#gateway.run(signal),
    );
    const gauges = setInterval(() => {
      this.#metrics.etcdUp.set(this.#watch.fresh ? 1 : 0);
      this.#metrics.handoffWaiting.set(this.#handoff.waiting);
      gaugeDesired(this.#metrics, this.#desired);
      this.#routing.gauge();
      this.#edges.look();
      this.#lifecycles.admit();
      this.#ring.gauge();
      this.#gossip.look();
    }, 1_000);
    signal.addEventListener('abort', () => clearInterval(gauges), { once: true });
  }

  async stop(): Promise<void> {
    await this.#ring.drain();
    this.#stopping.abort();
    const closing = this.#servers.map(async (server) => server.close());
    const ended = await Promise.allSettled([...closing, ...this.#running]);
    await this.#leases.close();
    this.#etcd.close();
    for (const each of ended) if (each.status === 'rejected') throw each.reason as Error;
  }

  #othersThan(registration: ControllerValue): Others {
    return new Others({
      self: this.config.id,
      registration,
      tls: this.config.edges.tls,
      desired: this.#desired,
      edges: () => this.#edges,
      certificates: () => this.#certificates.views(),
      changed: () => this.#routing.look(),
      log: this.log,
    });
  }

  #routingSide(temporal: () => Promise<TemporalClient>): RoutingSide {
    return new RoutingSide({
      etcd: this.#etcd,
      desired: this.#desired,
      shards: this.#shards,
      edges: this.#others.fleet,
      peers: this.#others.peers,
      handoff: this.#handoff,
      temporal,
      facts: (node) => nodeFacts(this.#desired, node),
      observers: this.#observers,
      limits: this.config.governor,
      controller: this.config.id,
      metrics: this.#metrics,
      log: this.log,
      signal: this.#stopping.signal,
    });
  }

  #ringSide(): RingSide {
    return new RingSide({
      id: this.config.id,
      etcd: this.#etcd,
      shards: this.#shards,
      desired: this.#desired,
      hints: () => this.#gossip.hints(),
      fresh: () => this.#watch.fresh,
      movedAway: (shard) => this.#edges.movedAway(shard),
      onPlaces: (shards) => this.#edges.look(shards),
      workers: this.#temporal.workers,
      onShards: () => this.#upkeep.mark({ nodes: [] }),
      metrics: this.#metrics,
      log: this.log,
      signal: this.#stopping.signal,
    });
  }

  #gossipSide(boot: string): GossipSide {
    return new GossipSide({
      config: this.config.gossip,
      id: this.config.id,
      boot,
      registrations: () => this.#ring.picture.registrations(),
      onChange: () => this.#ring.look(),
      metrics: this.#metrics,
      log: this.log,
    });
  }

  #temporalSide(): TemporalSide {
    const { config, log } = this;
    const metrics = this.#metrics;
    return new TemporalSide({
      config: config.temporal,
      identity: config.id,
      workflowBundle: config.workflowBundle,
      auditEveryMs: config.auditEveryMs,
      activities: createShardActivities(this.#cluster, this.#routing.port, {
        etcd: this.#etcd,
        blobs: this.#blobs,
        desired: this.#desired,
        shards: this.#shards,
        log,
        onOutcome: (outcome) => metrics.feedRefreshes.inc({ outcome }),
      }),
      holds: (shard) => this.#shards.holds(shard),
      onShardWorker: () => this.#ring.look(),
      log,
      signal: this.#stopping.signal,
      onHealth: (up) => metrics.temporalUp.set(up ? 1 : 0),
      onActivity: (waitedMs) => metrics.queueLatencySeconds.observe(waitedMs / 1000),
    });
  }

  #upkeepOf(temporal: () => Promise<TemporalClient>): Upkeep {
    return new Upkeep({
      desired: this.#desired,
      shards: this.#shards,
      arriving: () => this.#ring.arriving,
      edges: this.#edges,
      lifecycles: this.#lifecycles,
      temporal: this.#temporal,
      feeds: new FeedSchedules({
        desired: this.#desired,
        owns: (shard) => this.#shards.keeps(shard),
        handoff: this.#handoff,
        client: async () => (await temporal()).client,
      }),
      log: this.log,
      signal: this.#stopping.signal,
    });
  }

  // ---- What etcd says ---------------------------------------------------------------------------

  #etcdWatch(): EtcdWatch {
    return new EtcdWatch({
      etcd: this.#etcd,
      heard: (item) => this.#heard(item),
      problems: [this.#desired.problems, this.#ring.picture.problems],
      log: this.log,
      signal: this.#stopping.signal,
    });
  }

  #heard(item: WatchItem): void {
    const concerned = this.#desired.apply(item);
    this.#standing.heard(item);
    this.#ring.heard(item);
    this.#upkeep.mark(concerned);
    if (item.kind !== 'synced') this.#routing.look();
  }

  /** Everything that can be tried for a node that is not as it shall be. */
  #retry(node: NodeName): void {
    this.#edges.resend(node);
    this.#lifecycles.retry(node);
  }

  /** The cluster is the one that we know: a condition of every write. */
  #guard(): Condition {
    // Of a cluster that was just made, the watch may not have told yet.
    const cluster = this.#desired.cluster ?? this.#shards.cluster;
    if (cluster) return unchanged(keys.cluster, cluster.revision);
    const message = 'etcd was not in reach since this controller started; nothing was written.';
    throw new AdminError({ code: 'unavailable', message });
  }

  #admin(): Admin {
    const { config } = this;
    return new Admin({
      etcd: this.#etcd,
      blobs: this.#blobs,
      guard: () => this.#guard(),
      desired: this.#desired,
      edges: this.#others.fleet,
      shown: (node) => this.#standing.newestOf(node),
      shards: this.#shards,
      observers: this.#observers,
      ring: this.#ring.verbs(this.#gossip),
      facts: (node) => nodeFacts(this.#desired, node),
      temporal: () => this.#temporal.client,
      temporalUp: () => this.#temporal.up,
      reconsider: (node) =>
        this.#handoff.submit(`reconsider/${node}`, {
          // Each time: what is under way may have been looked at already.
          id: randomUUID(),
          send: async () => (await this.#temporal.whenConnected()).reconsider(node),
          done: () => undefined,
        }),
      status: () =>
        ownStatus(config, {
          shards: this.#shards,
          etcdProblem: this.#watch.problem,
          temporalUp: this.#temporal.up,
          certificates: this.#certificates.views(),
        }),
      log: this.log,
    });
  }
}
