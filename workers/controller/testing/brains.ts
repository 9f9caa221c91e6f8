/** Several controllers of one cluster, for tests: each a process of its own that can be killed or stopped. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { EtcdClient } from '../../../adapters/etcd/client';
import type { WatchItem } from '../../../adapters/etcd/port';
import { listWatch } from '../../../adapters/etcd/watch';
import { AdminClient } from '../../../adapters/admin/client';
import { keys, lastSegment } from '../../../core/model/keys';
import { parseOwnerValue, parseRingValue } from '../../../core/model/values';
import type { RingMap } from '../../../core/ring/types';
import { until } from '../../../workflows/testing/until';
import { Cluster, freePort } from './cluster';

const DIST = join(__dirname, '../../..');

export interface Brain {
  readonly id: string;
  readonly process: ChildProcess;
  readonly admin: AdminClient;
  /** Path of its admin socket. */
  readonly socket: string;
  readonly edgePort: number;
  readonly metricsPort: number;
  log(): string;
  metric(name: string): Promise<number>;
  /** Resolves when it is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export class Gaps {
  readonly #goneAtMs = new Map<string, number>();
  #longestMs = 0;
  #moved = 0;
  ready = false;

  heard(item: WatchItem): void {
    const nowMs = performance.now();
    if (item.kind === 'snapshot') this.ready = true;
    if (item.kind === 'delete') this.#goneAtMs.set(item.key, nowMs);
    if (item.kind !== 'put') return;
    const goneAtMs = this.#goneAtMs.get(item.entry.key);
    if (goneAtMs === undefined) return;
    this.#goneAtMs.delete(item.entry.key);
    this.#longestMs = Math.max(this.#longestMs, nowMs - goneAtMs);
    this.#moved++;
  }

  /** How many were without an owner, and have one again. */
  moved(): number {
    return this.#moved;
  }

  longestMs(): number {
    const nowMs = performance.now();
    return Math.max(this.#longestMs, ...[...this.#goneAtMs.values()].map((at) => nowMs - at));
  }
}

export class Brains {
  readonly all = new Set<Brain>();

  private constructor(
    readonly cluster: Cluster,
    /** A client of the test's own. */
    readonly etcd: EtcdClient,
  ) {}

  /** etcd (and Temporal) without a controller yet. */
  static async start(
    t: Pick<TestContext, 'after'>,
    options: { temporal?: boolean } = {},
  ): Promise<Brains> {
    const cluster = await Cluster.start(t, { temporal: false, ...options });
    const etcd = new EtcdClient({ endpoints: cluster.etcd.urls, writer: 'test' });
    const brains = new Brains(cluster, etcd);
    t.after(async () => {
      etcd.close();
      for (const brain of brains.all) {
        brain.process.kill('SIGCONT');
        await brain.stop('SIGKILL');
        brain.admin.close();
      }
    });
    return brains;
  }

  /** `run`: another process of the same id has another one. */
  async add(id: string, extra: NodeJS.ProcessEnv = {}, run = id): Promise<Brain> {
    const { cluster } = this;
    const [edgePort, metricsPort, gossipPort] = [
      await freePort(),
      await freePort(),
      await freePort(),
    ];
    const socket = join(cluster.directory, `${run}.sock`);
    const path = join(cluster.directory, `${run}.log`);
    const { ca, cert, key } = await cluster.certificate('controller', id);
    const environment = {
      AETHER_CONTROLLER_ID: id,
      AETHER_ETCD_ENDPOINTS: cluster.etcd.urls.join(','),
      AETHER_EDGE_LISTEN: `127.0.0.1:${edgePort}`,
      AETHER_ADMIN_SOCKET: socket,
      AETHER_METRICS_LISTEN: `127.0.0.1:${metricsPort}`,
      AETHER_GOSSIP_LISTEN: `127.0.0.1:${gossipPort}`,
      AETHER_LOG_LEVEL: 'debug',
      AETHER_TLS_CA: ca,
      AETHER_TLS_CERT: cert,
      AETHER_TLS_KEY: key,
      TEMPORAL_ADDRESS: cluster.temporal?.address ?? '127.0.0.1:1',
      ...extra,
    };
    const output = openSync(path, 'a');
    const child = spawn(process.execPath, [join(DIST, 'workers/controller.js')], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', output, output],
    });
    const log = (): string => readFileSync(path, 'utf8');
    const brain: Brain = {
      id,
      process: child,
      admin: new AdminClient(socket, 'tester'),
      socket,
      edgePort,
      metricsPort,
      log,
      metric: async (name) => {
        const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
        return Number(
          new RegExp(`^${name.replace(/[{}]/g, '\\$&')} (\\S+)$`, 'm').exec(text)?.[1] ?? NaN,
        );
      },
      stop: async (signal = 'SIGTERM') => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exited = once(child, 'exit');
        child.kill(signal);
        await exited;
      },
    };
    this.all.add(brain);
    await until(
      `${run} serves`,
      () => {
        if (child.exitCode !== null) throw new Error(`${run} ended: ${log()}`);
        return log().includes('"serving"');
      },
      30_000,
    );
    return brain;
  }

  async map(): Promise<{ ring: RingMap; epoch: number } | null> {
    const found = await this.etcd.get(keys.ring);
    const parsed = found && parseRingValue(found.value.toString());
    return found && parsed?.ok ? { ring: parsed.value, epoch: found.modRevision } : null;
  }

  /** How many shards each has the key of. */
  async owned(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { controller } of (await this.owners()).values()) {
      counts[controller] = (counts[controller] ?? 0) + 1;
    }
    return counts;
  }

  /** By shard: who has its key, and the fence. */
  async owners(): Promise<Map<number, { controller: string; token: number }>> {
    const { entries } = await this.etcd.list({ prefix: keys.owners });
    return new Map(
      entries.map(({ key, value, createRevision: token }) => {
        const parsed = parseOwnerValue(value.toString());
        const controller = parsed.ok ? parsed.value.controller : '?';
        return [Number(lastSegment(key)), { controller, token }];
      }),
    );
  }

  /** The controller itself is registered, and has heard by gossip that all of these are alive. */
  async acquainted(...brains: Brain[]): Promise<void> {
    for (const brain of brains) {
      await until(`${brain.id} has heard of all`, async () => {
        const alive = await brain.metric('aether_controller_gossip_members{state="alive"}');
        return alive === brains.length;
      });
    }
  }

  /** From now on: for how long any shard had no owner, as etcd tells it. */
  async watchGaps(t: Pick<TestContext, 'after'>): Promise<Gaps> {
    const gaps = new Gaps();
    const stop = new AbortController();
    const etcd = new EtcdClient({ endpoints: this.cluster.etcd.urls, writer: 'test' });
    const following = (async () => {
      for await (const item of listWatch(etcd, { prefix: keys.owners }, stop.signal)) {
        gaps.heard(item);
      }
    })();
    t.after(async () => {
      stop.abort();
      await following;
      etcd.close();
    });
    await until('the watch has begun', () => gaps.ready);
    return gaps;
  }

  /** Every shard has the owner that the map says, and the owners are these. */
  async settled(...ids: string[]): Promise<void> {
    await until(
      `${ids.join(', ')} own what the map says`,
      async () => {
        const [map, owners] = [await this.map(), await this.owners()];
        if (map === null || owners.size !== map.ring.owners.length) return false;
        const members = map.ring.members.map(({ id }) => id);
        if (members.join() !== [...ids].sort().join()) return false;
        return [...owners].every(
          ([shard, { controller }]) => members[map.ring.owners[shard] ?? -1] === controller,
        );
      },
      60_000,
    );
  }
}
