/**
 * For the tests of the agent: an edge host of its own (network and mount namespace, as the lab makes
 * them) and agents as real processes in it. Everything dies with the test, however that ends.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { EdgeLocalClient } from '../../../adapters/edge-local/client';
import { waitFor } from '../../../adapters/native/test-support';
import { CheckedFile } from '../../../adapters/state/checked-file';
import type { Accepted } from '../../../core/edge/types';
import type { EdgeSpec } from '../../../core/model/edge-spec';
import { specHash } from '../../../core/model/hash';
import { NO_ROUTING, plainFilter } from '../../../core/model/node';
import { exampleNamespace } from '../../../core/model/testing';
import type { EdgeStatus } from '../../../core/model/messages';

const SET_UP = `
mount -t tmpfs tmpfs /run && mkdir /run/netns
mount -t bpf bpf /sys/fs/bpf
ip link set lo up
ip link add uplink0 type veth peer name router0 && ip link set uplink0 up && ip link set router0 up
echo ready
exec cat`;

export const NODE = 'edge-1';

/** A spec with one of each kind of object. */
export const exampleSpec = (revision: number, phase: EdgeSpec['phase'] = 'active'): EdgeSpec => ({
  schema: 1,
  node: NODE,
  revision,
  phase,
  namespaces: [exampleNamespace()],
  filters: [plainFilter('uplink0')],
  blocklists: [],
  blocks: [],
  ...NO_ROUTING,
  services: [],
  repair: { policy: 'auto', budget: { attempts: 100, perMs: 60_000 }, autonomyAfterMs: 50 },
  frozen: { node: false, global: false },
});

/** The same node, leaving. */
export const emptySpec = (revision: number): EdgeSpec => ({
  ...exampleSpec(revision, 'decommissioning'),
  namespaces: [],
  filters: [],
});

export class TestHost {
  readonly directory = mkdtempSync(join(tmpdir(), 'aether-agent-'));
  readonly stateDirectory = join(this.directory, 'state');
  readonly socket = join(this.directory, 'edge.sock');

  private readonly agents: TestAgent[] = [];

  private constructor(private readonly keeper: ChildProcess) {}

  static async create(t: TestContext): Promise<TestHost> {
    const namespaces = ['--net', '--mount', '--propagation', 'private'];
    const keeper = spawn('unshare', [...namespaces, 'sh', '-ec', SET_UP], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const host = new TestHost(keeper);
    t.after(() => host.destroy());
    await new Promise<void>((resolve, reject) => {
      keeper.stdout?.once('data', () => resolve());
      keeper.once('exit', (code) => reject(new Error(`the test host ended with ${code}`)));
    });
    return host;
  }

  /** Of a process in its namespaces. */
  get pid(): number {
    return this.keeper.pid ?? 0;
  }

  /** argv that runs `command` in this host. */
  inside(command: readonly string[]): string[] {
    return ['nsenter', '--target', `${this.keeper.pid}`, '--net', '--mount', ...command];
  }

  exec(...command: string[]): string {
    const [file = '', ...args] = this.inside(command);
    return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** What a controller would have pushed and the agent accepted. */
  async accept(spec: EdgeSpec): Promise<void> {
    execFileSync('mkdir', ['-p', this.stateDirectory]);
    const fence = { clusterIncarnation: 1, shard: 0, ownerRevision: 1 };
    const file = new CheckedFile<Accepted>(join(this.stateDirectory, 'spec.json'));
    await file.save({ spec, hash: specHash(spec), fence });
  }

  /** `script`: dist path of the composition root, the agent's own by default. */
  startAgent(t: TestContext, options: AgentOptions = {}): TestAgent {
    const { script = join(__dirname, '../../edge-agent.js'), env = {}, before = [] } = options;
    const [file = '', ...args] = this.inside([...before, process.execPath, script]);
    // Should this process be killed, the agent goes with it.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', file, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...this.environment(), ...env },
    });
    const agent = new TestAgent(child, this.socket);
    this.agents.push(agent);
    t.after(() => agent.kill());
    return agent;
  }

  private environment(): Record<string, string> {
    const nowhere = join(this.directory, 'no.pem');
    return {
      AETHER_NODE: NODE,
      AETHER_CONTROLLERS: '127.0.0.1:1',
      AETHER_TLS_CA: nowhere,
      AETHER_TLS_CERT: nowhere,
      AETHER_TLS_KEY: nowhere,
      AETHER_STATE_DIR: this.stateDirectory,
      AETHER_EDGE_SOCKET: this.socket,
      AETHER_METRICS_LISTEN: '127.0.0.1:9701',
      AETHER_LOG_LEVEL: 'debug',
    };
  }

  /** The agents first, though they came later: one that still writes would keep its directory. */
  private async destroy(): Promise<void> {
    for (const agent of this.agents) await agent.kill();
    this.keeper.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

interface AgentOptions {
  script?: string;
  env?: Record<string, string>;
  /** Words before `node`, e.g. of a wrapper. */
  before?: readonly string[];
}

export class TestAgent {
  log = '';
  readonly exited: Promise<number | null>;

  constructor(
    readonly child: ChildProcess,
    private readonly socket: string,
  ) {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.log += chunk.toString()));
    }
    this.exited = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
  }

  /** SIGKILL, and wait for the end. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }

  async status(): Promise<EdgeStatus> {
    using client = new EdgeLocalClient(this.socket);
    return await client.status();
  }

  /** The first status that `holds`; tells the agent's log where it does not come. */
  async until(
    what: string,
    holds: (status: EdgeStatus) => boolean,
    deadlineMs = 30_000,
  ): Promise<EdgeStatus> {
    let last: unknown;
    try {
      return await waitFor(
        what,
        async () => {
          const status = await this.status().catch((error: Error) => ((last = error), null));
          if (status !== null) last = status;
          return status !== null && holds(status) ? status : null;
        },
        deadlineMs,
      );
    } catch (error) {
      const { message } = error as Error;
      throw new Error(`${message}\n${JSON.stringify(last, null, 1)}\n${this.log}`);
    }
  }

  converged(deadlineMs?: number): Promise<EdgeStatus> {
    return this.until(
      'the host is as its spec',
      ({ accepted, appliedHash, findings, incident }) =>
        appliedHash === accepted?.hash && findings.length === 0 && incident === null,
      deadlineMs,
    );
  }
}
