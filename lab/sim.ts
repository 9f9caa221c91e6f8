/**
 * Simulated edges: thousands in a few processes, each with a certificate, a stream and an activity queue of
 * its own, and a host in memory (`workers/sim`). To the control plane they are edges like any other.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { AdminClient } from '../adapters/admin/client';
import { askSim, type SimCommand, type SimStatus } from '../adapters/sim/control';
import {
  API_VERSION,
  DEFAULT_REPAIR,
  NO_ROUTING,
  plainFilter,
  type NodeResource,
} from '../core/model/node';
import { SIM_SOCKET } from './declare';
import type { Lab } from './lab';
import { paths } from './state';
import { hostsOf, type Topology } from './topology';

export type { SimStatus };

/** With its stream and its poll an edge takes some 0.3 MB of a process, and its share of one loop. */
export const EDGES_A_FLEET = 1_000;
/** Addresses of their links are 10.64.0.0/10 in /30s. */
export const SIM_EDGES_MAX = 16_384;
const REGIONS = 8;
/** An apply is one transaction, and etcd takes 128 changes in one by default. */
const APPLIED_AT_ONCE = 40;

export const fleetsOf = (edges: number): number => Math.ceil(edges / EDGES_A_FLEET);

/** Number `index`, from 1. */
export const simName = (index: number): string => `sim-${index}`;

/** Names of the edges in fleet number `fleet`, from 0, of so many: as many in each. */
function namesOf(fleet: number, edges: number, fleets: number): string[] {
  const all = Array.from({ length: edges }, (_, i) => i + 1);
  return all.filter((index) => index % fleets === fleet).map(simName);
}

/** A namespace with a link, a route, a sysctl and a filter: what the examples have, without BGP. */
export function simNode(index: number): NodeResource {
  const host = ipv4((10 << 24) + (64 << 16) + index * 4 + 1);
  const inside = ipv4((10 << 24) + (64 << 16) + index * 4 + 2);
  const v6 = `fd10:5:${index.toString(16)}`;
  return {
    apiVersion: API_VERSION,
    kind: 'Node',
    metadata: {
      name: simName(index),
      region: `sim-${(index % REGIONS) + 1}`,
      labels: { tier: 'simulated', ring: `r${index % 4}` },
    },
    spec: {
      namespaces: [
        {
          name: 'edge',
          links: [
            {
              name: 'edge0',
              peer: 'eth0',
              mtu: 1500,
              hostAddresses: [`${host}/30`, `${v6}::1/64`],
              addresses: [`${inside}/30`, `${v6}::2/64`],
            },
          ],
          routes: [
            { to: '0.0.0.0/0', via: host },
            { to: '::/0', via: `${v6}::1` },
          ],
          sysctls: { 'net.ipv4.ip_forward': '1' },
        },
      ],
      filters: [plainFilter('uplink0')],
      ...NO_ROUTING,
      repair: DEFAULT_REPAIR,
    },
  };
}

const ipv4 = (bits: number): string =>
  [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');

export const simNodes = (edges: number): NodeResource[] =>
  Array.from({ length: edges }, (_, i) => simNode(i + 1));

/** Tells each fleet which edges it is. */
export function writeNames(stateDir: string, topology: Topology, edges: number): void {
  const fleets = hostsOf(topology, 'fleet');
  for (const [i, { name }] of fleets.entries()) {
    const names = namesOf(i, edges, fleets.length);
    writeFileSync(paths.simNodes(stateDir, name), `${names.join('\n')}\n`);
  }
}

/** Declares them in batches; what is declared already stays as it is. */
export async function applySimNodes(
  socket: string,
  edges: number,
  step: (line: string) => void,
): Promise<void> {
  using admin = new AdminClient(socket, 'lab');
  const nodes = simNodes(edges);
  for (let i = 0; i < nodes.length; i += APPLIED_AT_ONCE) {
    await insist(() => admin.apply(nodes.slice(i, i + APPLIED_AT_ONCE), null));
    const done = Math.min(i + APPLIED_AT_ONCE, nodes.length);
    const told = Math.floor(done / 500) > Math.floor(i / 500) || done === nodes.length;
    if (told) step(`simulated edges: ${done} of ${edges} declared`);
  }
}

/** gRPC's UNKNOWN and UNAVAILABLE. */
const AGAIN: readonly unknown[] = [2, 14];
const TRIES = 20;

/** Thousands of edges come meanwhile, and etcd may not answer in time: what is declared once more stays as it is. */
async function insist(work: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await work();
      return;
    } catch (error) {
      if (!AGAIN.includes((error as { code?: unknown }).code) || tries === TRIES) throw error;
      await sleep(1_000);
    }
  }
}

/** All fleets together, or those that are named; null where the lab has none. */
export async function askFleets(
  lab: Lab,
  commandOf: (fleet: string, index: number) => SimCommand,
  fleets: readonly string[] = lab.hosts('fleet'),
): Promise<SimStatus | null> {
  if (fleets.length === 0) return null;
  const asked = fleets.map((fleet, i) =>
    askSim(lab.pathIn(fleet, SIM_SOCKET), commandOf(fleet, i)),
  );
  return (await Promise.all(asked)).reduce(together);
}

export const simStatus = (lab: Lab, fleets?: readonly string[]): Promise<SimStatus | null> =>
  askFleets(lab, () => ({ do: 'status' }), fleets);

/** Breaks as many edges, spread over the fleets, each at once. */
export function drift(lab: Lab, edges: number): Promise<SimStatus | null> {
  const fleets = lab.hosts('fleet').length;
  return askFleets(lab, (_fleet, i) => ({
    do: 'drift',
    edges: Math.floor(edges / fleets) + (i < edges % fleets ? 1 : 0),
  }));
}

const added = (a: Record<string, number>, b: Record<string, number>): Record<string, number> => {
  const sum = { ...a };
  for (const [name, count] of Object.entries(b)) sum[name] = (sum[name] ?? 0) + count;
  return sum;
};

const together = (a: SimStatus, b: SimStatus): SimStatus => ({
  edges: a.edges + b.edges,
  connected: a.connected + b.connected,
  polling: a.polling + b.polling,
  controllers: added(a.controllers, b.controllers),
  settled: a.settled + b.settled,
  phases: added(a.phases, b.phases),
  incidents: a.incidents + b.incidents,
  frozen: a.frozen + b.frozen,
  drift: {
    edges: a.drift.edges + b.drift.edges,
    atMs: a.drift.atMs === null ? b.drift.atMs : Math.min(a.drift.atMs, b.drift.atMs ?? Infinity),
    repaired: {
      workflow: a.drift.repaired.workflow + b.drift.repaired.workflow,
      agent: a.drift.repaired.agent + b.drift.repaired.agent,
    },
    repairedInMs: [...a.drift.repairedInMs, ...b.drift.repairedInMs],
    over: a.drift.over + b.drift.over,
    unsent: a.drift.unsent + b.drift.unsent,
  },
});
