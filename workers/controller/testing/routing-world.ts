/** A control plane with a service on a few edges that are active without anybody who onboards them. */
import type { TestContext } from 'node:test';
import { Client, Connection } from '@temporalio/client';
import { EtcdClient } from '../../../adapters/etcd/client';
import { TemporalClient } from '../../../adapters/temporal/client';
import type { AnycastServiceResource } from '../../../core/model/anycast';
import { workflowId } from '../../../core/model/ids';
import { keys } from '../../../core/model/keys';
import type { NodeResource } from '../../../core/model/node';
import { validateAnycast } from '../../../core/model/schema-anycast';
import { valueText } from '../../../core/model/values';
import { until } from '../../../workflows/testing/until';
import { Cluster } from './cluster';
import { nodeResource } from './resources';
import { type RoutingEdge, routingEdge } from './routing-edge';

export function service(name: string, spec: object): AnycastServiceResource {
  const result = validateAnycast({
    apiVersion: 'aether.dev/v1',
    kind: 'AnycastService',
    metadata: { name },
    spec: {
      prefixes: ['203.0.113.10/32'],
      namespace: 'edge',
      nodes: { tier: 'edge' },
      minAnnouncers: 1,
      ...spec,
    },
  });
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return result.resource;
}

/** `fra-1` is in region `fra`. */
export function routingNode(name: string, octet: number): NodeResource {
  const resource = nodeResource(name, octet);
  const { metadata, spec } = resource;
  metadata.labels = { tier: 'edge' };
  metadata.region = name.split('-')[0] ?? '';
  spec.bgp = {
    asn: 64512,
    routerId: `10.0.0.${octet}`,
    listenPort: null,
    importPrefixes: [],
    installRoutes: false,
    neighbors: [
      {
        address: '192.0.2.1',
        asn: 64500,
        passwordRef: null,
        ttlSecurity: true,
        multihop: null,
        holdTimeMs: 90_000,
        maxPrefixes: 100,
        bfd: null,
      },
    ],
  };
  return resource;
}

export const addressOf = (octet: number): string => `192.0.2.${100 + octet}`;

export interface RoutingWorld {
  cluster: Cluster;
  etcd: EtcdClient;
  edges: Map<string, RoutingEdge>;
  edge(name: string): RoutingEdge;
  /** Until exactly these announce it, as operators see it. */
  announced(service: string, ...nodes: string[]): Promise<void>;
}

/** Its life says that it is active; without Temporal, the key alone does. */
async function activate(cluster: Cluster, etcd: EtcdClient, node: string): Promise<void> {
  if (cluster.temporal === null) {
    const value = valueText({ phase: 'active' });
    await etcd.write([], [{ op: 'put', key: keys.phase(node), value }]);
    return;
  }
  const connection = await Connection.connect({ address: cluster.temporal.address });
  try {
    const client = new Client({ connection });
    const temporal = new TemporalClient(client);
    // These edges have no host that could be onboarded.
    const onboarding = workflowId.onboard(node);
    await until(`${onboarding} has begun`, () => temporal.isRunning(onboarding));
    await client.workflow.getHandle(onboarding).terminate('a test');
    const [facts, holder] = [{ node, region: null }, 'test'];
    await temporal.requestPhase(facts, { phase: 'onboarding', holder, takeOver: onboarding });
    await temporal.releasePhase(facts, { holder, outcome: 'done', next: 'active' });
  } finally {
    await connection.close();
  }
}

export async function routingWorld(
  t: Pick<TestContext, 'after'>,
  names: readonly string[],
  services: readonly AnycastServiceResource[],
  options: { temporal: boolean; environment?: NodeJS.ProcessEnv },
): Promise<RoutingWorld> {
  const cluster = await Cluster.start(t, { temporal: options.temporal });
  await cluster.startController(options.environment);
  await cluster.ready();
  return populate(t, cluster, names, services);
}

/** `ports`: of controllers that the edges go from one to the other; null: they stay with the first. */
export async function populate(
  t: Pick<TestContext, 'after'>,
  cluster: Cluster,
  names: readonly string[],
  services: readonly AnycastServiceResource[],
  ports: readonly number[] | null = null,
): Promise<RoutingWorld> {
  const { admin } = cluster;
  await admin.apply([...names.map((name, i) => routingNode(name, i + 1)), ...services], null);
  const etcd = new EtcdClient({ endpoints: cluster.etcd.urls, writer: 'test' });
  t.after(() => etcd.close());
  for (const name of names) await activate(cluster, etcd, name);
  const edges = new Map<string, RoutingEdge>();
  for (const [i, name] of names.entries()) {
    edges.set(name, await routingEdge(t, cluster, name, addressOf(i + 1), ports));
  }
  return {
    cluster,
    etcd,
    edges,
    edge: (name) => {
      const found = edges.get(name);
      if (!found) throw new Error(`no edge ${name}`);
      return found;
    },
    announced: async (name, ...nodes) => {
      await until(
        `${name} is announced by ${nodes.join(', ')}`,
        async () => {
          // By its own name it would be refused as long as the watch has not told of it.
          const view = (await admin.getServices()).find((each) => each.name === name);
          return view?.announcers.join() === [...nodes].sort().join();
        },
        30_000,
      );
    },
  };
}
