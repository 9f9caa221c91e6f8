/** What the tests of labs share: whether this machine can run one, and one of its own for a file. */
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AdminClient } from '../adapters/admin/client';
import type { AnycastServiceResource } from '../core/model/anycast';
import { API_VERSION, NO_ROUTING, plainFilter, type NodeResource } from '../core/model/node';
import { DEFAULT_BFD, DEFAULT_BGP, DEFAULT_NEIGHBOR } from '../core/model/schema-routing';
import { exampleNamespace } from '../core/model/testing';
import type { NodeView } from '../core/model/views';
import { ADMIN_SOCKET } from './declare';
import { down } from './down';
import { Lab } from './lab';
import { differences } from './look';
import { paths } from './state';
import { ROUTER_ASN } from './peering';
import { findTool } from './tools';
import { bare, uplinkAddresses } from './topology';
import { up } from './up';
import type { UpOptions } from './up';
import { eventually } from './wait';

/** Why no lab can run here; false where one can. */
export function cannotRunLabs(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  if (findTool('etcd') === null || findTool('temporal') === null) {
    return 'needs etcd and temporal: make setup';
  }
  return false;
}

/** A node in the form of the published examples, number `index` (from 1). */
export function exampleNode(name: string, index: number): NodeResource {
  return {
    apiVersion: 'aether.dev/v1',
    kind: 'Node',
    metadata: { name, region: 'test', labels: {} },
    spec: {
      namespaces: [exampleNamespace(index)],
      filters: [plainFilter('uplink0')],
      ...NO_ROUTING,
      repair: {
        policy: 'auto',
        // A short window: what one test repeats shall not look like a fight to the next.
        budget: { attempts: 100, perMs: 2_000 },
        autonomyAfterMs: 1_000,
      },
    },
  };
}

/** What the lab's edges announce: addresses of RFC 5737 and RFC 3849. */
export const SERVICE = { ipv4: '198.51.100.53', ipv6: '2001:db8:53::53' } as const;

/**
 * As `exampleNode`, number `index` (from 1) of the lab, and speaking BGP with the router of its region,
 * which is number `region` (from 0). No GTSM: FRR would run its BFD over several hops.
 */
export function speakingNode(name: string, index: number, region: number): NodeResource {
  const node = exampleNode(name, index);
  const neighbors = uplinkAddresses(index - 1, 1).map((address) => ({
    ...DEFAULT_NEIGHBOR,
    address: bare(address),
    asn: ROUTER_ASN + region,
    bfd: DEFAULT_BFD,
  }));
  const bgp = { ...DEFAULT_BGP, asn: 65_000 + index, routerId: `10.10.${index}.1`, neighbors };
  return {
    ...node,
    metadata: { name, region: `region-${region + 1}`, labels: { tier: 'edge' } },
    spec: {
      ...node.spec,
      namespaces: node.spec.namespaces.map((namespace) => ({
        ...namespace,
        routes: [...namespace.routes, { to: '::/0', via: `fd10:${index}::1` }],
      })),
      bgp,
    },
  };
}

/** `echo.ts`, on every node above. */
export const echoService: AnycastServiceResource = {
  apiVersion: API_VERSION,
  kind: 'AnycastService',
  metadata: { name: 'echo', labels: {} },
  spec: {
    prefixes: [`${SERVICE.ipv4}/32`, `${SERVICE.ipv6}/128`],
    addresses: [SERVICE.ipv4, SERVICE.ipv6],
    namespace: 'edge',
    nodes: { tier: 'edge' },
    regions: [],
    minAnnouncers: 1,
    lastAnnouncer: 'deprefer',
    health: {
      probe: { kind: 'http', port: 80, path: '/healthz', status: 200 },
      intervalMs: 500,
      timeoutMs: 400,
      failures: 3,
      successes: 2,
    },
    communities: [],
    prepend: 0,
  },
};

/** Not named by pid: tests may run in pid namespaces of their own, where pids are the same. */
export const newStateDir = (): string => mkdtempSync(join(tmpdir(), 'aether-lab-'));

/** A lab with a name of its own; `end` takes it down whatever happened, and tells what it can. */
export class TestLab {
  private constructor(
    readonly lab: Lab,
    readonly nodes: readonly NodeResource[],
  ) {}

  static async up(
    nodes: readonly NodeResource[],
    options: Partial<
      Pick<UpOptions, 'controllers' | 'etcds' | 'simEdges' | 'simFleets' | 'logLevel' | 'clocks'>
    > = {},
  ): Promise<TestLab> {
    const stateDir = newStateDir();
    try {
      const size = { controllers: 1, etcds: 1, ...options };
      return new TestLab(new Lab(await up({ name: 'test', stateDir, nodes, ...size })), nodes);
    } catch (error) {
      await down(stateDir);
      throw error;
    }
  }

  async end(): Promise<void> {
    await down(this.lab.stateDir);
  }

  /** The last lines of a process's log, for the message of a failed test. */
  logOf(process: string, lines = 15): string {
    const path = paths.log(this.lab.stateDir, process);
    if (!existsSync(path)) return `${process}: no log`;
    const text = readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
    return `--- ${process}\n${text}`;
  }

  /** A client of the first controller's admin API. */
  admin(): AdminClient {
    const [controller = 'ctl-1'] = this.lab.hosts('controller');
    return new AdminClient(this.lab.pathIn(controller, ADMIN_SOCKET), 'test');
  }

  async view(node: string): Promise<NodeView> {
    using admin = this.admin();
    const [view] = await admin.get(node);
    if (view === undefined) throw new Error(`the controller knows no node ${node}`);
    return view;
  }

  /** Waits until the kernel of the node is what it should be, and the control plane agrees. */
  async settled(node: NodeResource, withinMs = 20_000): Promise<NodeView> {
    const { name } = node.metadata;
    const agrees = async (): Promise<NodeView | null> => {
      const left = await differences(this.lab, node);
      if (left.length > 0) throw new Error(left.join('; '));
      const view = await this.view(name);
      if (view.phase !== 'active' || !view.converged) throw new Error(JSON.stringify(view));
      return view;
    };
    return eventually(`${name} is as it should be`, agrees, { within: withinMs, times: 2 });
  }
}
