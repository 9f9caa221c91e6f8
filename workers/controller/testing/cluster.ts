/**
 * A whole control plane for a test: real etcd, real Temporal, a controller in a process of its own,
 * agents with hosts in memory; all on loopback, in a directory of its own, gone with the test.
 */
import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Client, Connection } from '@temporalio/client';
import { AdminClient } from '../../../adapters/admin/client';
import { caInit, caIssue } from '../../../adapters/ca/authority';
import type { Role } from '../../../adapters/ca/identity';
import { EtcdCluster, Proxy, withoutEtcd } from '../../../adapters/etcd/testing';
import type { ObservedHost } from '../../../core/model/host';
import { DevServer, withoutTemporal } from '../../../workflows/testing/dev-server';
import type { AuditSummary } from '../../../workflows/audit-nodes';
import { until } from '../../../workflows/testing/until';
import type { SimAnswer, SimCommand } from './sim-edge';

/** For `test(name, { skip })`: the reason, or false. */
export const withoutServers = withoutEtcd || withoutTemporal;

const DIST = join(__dirname, '../../..');

/** Below those that connections of their own get: nobody takes it between the look and the use. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 15_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    server.close();
    if (free) return port;
  }
}

export interface Tls {
  ca: string;
  cert: string;
  key: string;
}

/** One more controller of the same cluster, beside `Cluster.controller`. */
export interface Another {
  id: string;
  process: ChildProcess;
  admin: AdminClient;
  socket: string;
  edgePort: number;
  /** `host:port` of its admin API over TLS. */
  adminAddress: string;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export class Cluster {
  readonly directory = mkdtempSync(join(tmpdir(), `aether-ctl-${process.pid}-`));
  readonly #processes = new Set<ChildProcess>();
  readonly #clients: AdminClient[] = [];
  etcd!: EtcdCluster;
  temporal: DevServer | null = null;
  /** What the controller takes for Temporal: it can be made a black hole. */
  wayToTemporal: Proxy | null = null;
  controller!: ChildProcess;
  edgePort = 0;
  metricsPort = 0;
  /** `host:port` of the first controller's admin API over TLS. */
  adminAddress = '';

  /** `start`: false leaves the controller to the test. */
  static async start(
    t: Pick<TestContext, 'after'>,
    options: { temporal?: boolean } = {},
  ): Promise<Cluster> {
    const cluster = new Cluster();
    t.after(() => cluster.stop());
    await caInit(join(cluster.directory, 'ca'));
    [cluster.edgePort, cluster.metricsPort] = [await freePort(), await freePort()];
    cluster.adminAddress = `127.0.0.1:${await freePort()}`;
    cluster.etcd = await EtcdCluster.start(1);
    if (options.temporal ?? true) {
      cluster.temporal = await DevServer.start();
      const [proxy] = await Proxy.toAll([`http://${cluster.temporal.address}`]);
      cluster.wayToTemporal = proxy ?? null;
    }
    return cluster;
  }

  get admin(): AdminClient {
    const client = new AdminClient(this.socket, 'tester');
    this.#clients.push(client);
    return client;
  }

  get socket(): string {
    return join(this.directory, 'admin.sock');
  }

  /** Ids of the workflows that are open. */
  async running(): Promise<string[]> {
    const connection = await Connection.connect({ address: this.temporal?.address ?? '' });
    try {
      const ids: string[] = [];
      const query = `ExecutionStatus = 'Running'`;
      for await (const { workflowId } of new Client({ connection }).workflow.list({ query })) {
        ids.push(workflowId);
      }
      return ids;
    } finally {
      await connection.close();
    }
  }

  /** Whether anybody has asked this queue for an activity since then. */
  async polled(taskQueue: string, sinceMs: number): Promise<boolean> {
    const connection = await Connection.connect({ address: this.temporal?.address ?? '' });
    try {
      const { pollers } = await connection.workflowService.describeTaskQueue({
        namespace: 'default',
        taskQueue: { name: taskQueue },
        taskQueueType: 2, // of activities
      });
      return pollers.some((each) => Number(each.lastAccessTime?.seconds) * 1000 > sinceMs);
    } finally {
      await connection.close();
    }
  }

  /** Starts the scheduled audit, and gives what it found. */
  async audit(): Promise<AuditSummary> {
    const connection = await Connection.connect({ address: this.temporal?.address ?? '' });
    try {
      const { workflow } = new Client({ connection });
      const query = `WorkflowType = 'auditNodes'`;
      const before = (await workflow.count(query)).count;
      await this.admin.audit();
      await until('it is seen', async () => (await workflow.count(query)).count > before);
      for await (const { workflowId, runId } of workflow.list({ query })) {
        return await workflow.getHandle(workflowId, runId).result();
      }
      throw new Error('no audit was run');
    } finally {
      await connection.close();
    }
  }

  /** Standard output of a process of this cluster. */
  log(name: string): string {
    const path = join(this.directory, `${name}.log`);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  async certificate(role: Role, id: string): Promise<Tls> {
    const ca = join(this.directory, 'ca');
    const issued = await caIssue(ca, { role, id });
    return { ca: join(ca, 'ca.pem'), cert: issued.certPath, key: issued.keyPath };
  }

  async startController(extra: NodeJS.ProcessEnv = {}): Promise<void> {
    await this.#run('c1', 'controller', {
      AETHER_EDGE_LISTEN: `127.0.0.1:${this.edgePort}`,
      AETHER_ADMIN_SOCKET: this.socket,
      AETHER_ADMIN_LISTEN: this.adminAddress,
      AETHER_METRICS_LISTEN: `127.0.0.1:${this.metricsPort}`,
      ...extra,
    });
  }

  /** One more controller; its log is named after it. */
  async another(id: string, extra: NodeJS.ProcessEnv = {}): Promise<Another> {
    const [edgePort, adminPort] = [await freePort(), await freePort()];
    const socket = join(this.directory, `${id}.sock`);
    const process = await this.#run(id, id, {
      AETHER_EDGE_LISTEN: `127.0.0.1:${edgePort}`,
      AETHER_ADMIN_SOCKET: socket,
      AETHER_ADMIN_LISTEN: `127.0.0.1:${adminPort}`,
      AETHER_METRICS_LISTEN: '127.0.0.1:0',
      ...extra,
    });
    const admin = new AdminClient(socket, 'tester');
    this.#clients.push(admin);
    const adminAddress = `127.0.0.1:${adminPort}`;
    const stop = (signal: NodeJS.Signals = 'SIGKILL') => end(process, signal);
    return { id, process, admin, socket, edgePort, adminAddress, stop };
  }

  async #run(id: string, log: string, own: NodeJS.ProcessEnv): Promise<ChildProcess> {
    assertBundle();
    const environment = {
      AETHER_CONTROLLER_ID: id,
      AETHER_ETCD_ENDPOINTS: this.etcd.urls.join(','),
      AETHER_LOG_LEVEL: 'debug',
      ...tlsEnvironment(await this.certificate('controller', id)),
      ...this.#temporalEnvironment(),
      ...own,
    };
    const served = (): number => this.log(log).split('"serving"').length;
    const before = served();
    const output = openSync(join(this.directory, `${log}.log`), 'a');
    const child = spawn(process.execPath, [join(DIST, 'workers/controller.js')], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', output, output],
    });
    if (log === 'controller') this.controller = child;
    this.#own(child);
    await until(
      'the controller serves its admin socket',
      async () => {
        if (child.exitCode !== null) throw new Error('the controller ended');
        // A quiet one does not say so.
        const quiet = environment.AETHER_LOG_LEVEL === 'error';
        return served() > before || (quiet && existsSync(`${own['AETHER_ADMIN_SOCKET']}`));
      },
      30_000,
    );
    return child;
  }

  /** The controller has read etcd, and may write. */
  async ready(): Promise<void> {
    const admin = this.admin;
    await until('etcd is read', async () => {
      const { etcd, clusterIncarnation } = await admin.status();
      return etcd.ok && clusterIncarnation > 0;
    });
  }

  /** `kill -9` unless told otherwise; resolves when it is gone. */
  async stopController(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await end(this.controller, signal);
  }

  async startEdge(node: string): Promise<SimEdge> {
    const environment = {
      AETHER_NODE: node,
      AETHER_CONTROLLERS: `127.0.0.1:${this.edgePort}`,
      AETHER_STATE_DIR: join(this.directory, node),
      AETHER_EDGE_SOCKET: join(this.directory, `${node}.sock`),
      AETHER_METRICS_LISTEN: '127.0.0.1:0',
      AETHER_LOG_LEVEL: 'debug',
      ...tlsEnvironment(await this.certificate('edge', node)),
    };
    const output = openSync(join(this.directory, `${node}.log`), 'a');
    const child = fork(join(__dirname, 'sim-edge.js'), {
      env: { ...process.env, ...environment },
      stdio: ['ignore', output, output, 'ipc'],
    });
    this.#own(child);
    return new SimEdge(child);
  }

  /** With AETHER_TEST_KEEP set the logs stay where they are. */
  async stop(): Promise<void> {
    for (const client of this.#clients) client.close();
    await Promise.all([...this.#processes].map((child) => end(child, 'SIGKILL')));
    await this.wayToTemporal?.close();
    await this.temporal?.stop();
    await this.etcd?.stop();
    if (process.env['AETHER_TEST_KEEP'] === undefined) {
      rmSync(this.directory, { recursive: true, force: true });
    }
  }

  #temporalEnvironment(): NodeJS.ProcessEnv {
    const way = this.wayToTemporal;
    // Where there is none, nobody listens.
    return { TEMPORAL_ADDRESS: way ? new URL(way.url).host : '127.0.0.1:1' };
  }

  #own(child: ChildProcess): void {
    this.#processes.add(child);
    child.once('exit', () => this.#processes.delete(child));
  }
}

export class SimEdge {
  constructor(readonly process: ChildProcess) {}

  async observed(): Promise<ObservedHost> {
    return this.#tell({ do: 'observe' });
  }

  async deleteLink(name: string): Promise<void> {
    await this.#tell({ do: 'deleteLink', name });
  }

  /** Its host takes no change any more; null: it does again. */
  async refuse(why: string | null): Promise<void> {
    await this.#tell({ do: 'refuse', why });
  }

  async linkNames(): Promise<string[]> {
    return (await this.observed()).root.links.map(({ name }) => name);
  }

  async kill(): Promise<void> {
    await end(this.process, 'SIGKILL');
  }

  async #tell(command: SimCommand): Promise<ObservedHost> {
    const answer = once(this.process, 'message') as Promise<[SimAnswer]>;
    this.process.send(command);
    const [{ observed }] = await answer;
    return observed;
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

const tlsEnvironment = ({ ca, cert, key }: Tls): NodeJS.ProcessEnv => ({
  AETHER_TLS_CA: ca,
  AETHER_TLS_CERT: cert,
  AETHER_TLS_KEY: key,
});

/** The workflows as they are now, once a checkout. */
function assertBundle(): void {
  if (existsSync(join(DIST, 'workflow-bundle.js'))) return;
  execFileSync(process.execPath, [join(DIST, 'scripts/bundle-workflows.js')]);
}
