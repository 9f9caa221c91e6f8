/** A control plane for tests: a real server, real workers with our bundle, scripted ports. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { createBlocklistActivities } from '../../activities/blocklists';
import { createClusterActivities } from '../../activities/cluster';
import { createEdgeActivities } from '../../activities/edge';
import { createRoutingActivities } from '../../activities/routing';
import { TemporalClient } from '../../adapters/temporal/client';
import { connectTemporal, type TemporalLink } from '../../adapters/temporal/connection';
import { edgeQueue, shardQueue, WORKFLOW_QUEUE } from '../../core/model/ids';
import { shardOf } from '../../core/ring/shard';
import { bundle } from './bundle';
import { DevServer } from './dev-server';
import { ScriptedCluster, ScriptedEdge } from './scripted';
import { ScriptedFeeds } from './scripted-feeds';
import { ScriptedRouting } from './scripted-routing';

const ROOT = join(__dirname, '../../..');
export const HISTORIES = join(ROOT, 'workflows/testdata/histories');

let installed = false;
/** Once in a process: only what a reader of a failed test wants to know. */
export function quiet(): void {
  if (installed) return;
  installed = true;
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { forward: {}, filter: 'ERROR' } },
  });
}

interface Running {
  worker: Worker;
  ended: Promise<void>;
}

export class House {
  private readonly running = new Map<string, Running>();
  private names = 0;
  readonly feeds = new ScriptedFeeds();
  readonly routing = new ScriptedRouting((node) => this.cluster.phases.get(node)?.phase ?? null);

  private constructor(
    private readonly server: DevServer,
    readonly link: TemporalLink,
    readonly temporal: TemporalClient,
    readonly cluster: ScriptedCluster,
    private readonly workflowBundle: { code: string },
  ) {}

  static async open(dynamicConfig: string[] = []): Promise<House> {
    quiet();
    const [server, code] = await Promise.all([DevServer.start(dynamicConfig), bundle()]);
    const { address } = server;
    const link = await connectTemporal({ connectionOptions: { address } }, 'test');
    const temporal = new TemporalClient(link.client);
    const cluster = new ScriptedCluster(temporal);
    const house = new House(server, link, temporal, cluster, code);
    await house.startWorkflows();
    return house;
  }

  get client() {
    return this.link.client.workflow;
  }

  get address(): string {
    return this.server.address;
  }

  async close(): Promise<void> {
    try {
      await Promise.all([...this.running.keys()].map((queue) => this.stopWorker(queue)));
      await this.link.connection.close();
    } finally {
      await this.server.stop();
    }
  }

  /** A node with a name of its own, its edge and its shard polled. `absent`: no edge worker yet. */
  async node({ absent = false } = {}): Promise<ScriptedEdge> {
    const edge = new ScriptedEdge(`n${++this.names}-${process.pid}`);
    this.cluster.add(edge);
    await this.startShard(shardOf(edge.node));
    if (!absent) await this.startEdge(edge);
    return edge;
  }

  startEdge(edge: ScriptedEdge): Promise<void> {
    return this.start(edgeQueue(edge.node), { activities: createEdgeActivities(edge) });
  }

  startShard(shard: number): Promise<void> {
    return this.start(shardQueue(shard), {
      activities: {
        ...createClusterActivities(this.cluster),
        ...createBlocklistActivities(this.feeds),
        ...createRoutingActivities(this.routing),
      },
    });
  }

  startWorkflows(): Promise<void> {
    return this.start(WORKFLOW_QUEUE, {
      workflowBundle: this.workflowBundle,
      activities: {
        ...createClusterActivities(this.cluster),
        ...createRoutingActivities(this.routing),
      },
      enableNonLocalActivities: false,
      stickyQueueScheduleToStartTimeout: '1s',
      maxCachedWorkflows: 200,
    });
  }

  async stopWorker(queue: string): Promise<void> {
    const running = this.running.get(queue);
    if (!running) return;
    this.running.delete(queue);
    running.worker.shutdown();
    await running.ended;
  }

  /** With AETHER_REWRITE=1, keeps the history for the replay test. */
  async record(handle: WorkflowHandle, name: string): Promise<void> {
    if (process.env['AETHER_REWRITE'] !== '1') return;
    mkdirSync(HISTORIES, { recursive: true });
    const { workflowId } = handle;
    // Stack traces name where the repository lies on the machine that recorded them.
    const text = historyToJSON(await handle.fetchHistory()).replaceAll(`${ROOT}/`, '');
    const history: unknown = JSON.parse(text);
    writeFileSync(
      join(HISTORIES, `${name}-v1.json`),
      JSON.stringify({ workflowId, history }) + '\n',
    );
  }

  private async start(
    taskQueue: string,
    options: Partial<Parameters<typeof Worker.create>[0]>,
  ): Promise<void> {
    if (this.running.has(taskQueue)) return;
    const { connection, namespace } = this.link;
    const worker = await Worker.create({
      connection,
      namespace,
      taskQueue,
      shutdownGraceTime: '100ms',
      shutdownForceTime: '5s',
      ...options,
    });
    this.running.set(taskQueue, { worker, ended: worker.run() });
  }
}
