/** One address from every edge, seen from outside: by the routers, the observer and the client. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { BfdPeerSpec } from '../core/model/bgp';
import { cut, heal } from './cuts';
import { World } from './e2e';
import { servedBy } from './reach';
import { cannotRun } from './routers';
import { SERVICE, cannotRunLabs, echoService, speakingNode } from './testing';
import { OBSERVER, bare, routerOfNode, uplinkAddresses } from './topology';
import { eventually } from './wait';

const skip = cannotRunLabs() || cannotRun('bird') || cannotRun('frr') || cannotRun('gobgpd');
/** Numbers, from 0, of the edges that ask each other's filters. */
const ASKING = [0, 2] as const;
/** Two edges behind BIRD, one behind FRR. */
const nodes = [
  speakingNode('fra-1', 1, 0),
  speakingNode('ams-1', 2, 0),
  speakingNode('nyc-1', 3, 1),
].map((node, index) => ({ ...node, spec: { ...node.spec, bfdPeers: asking(index) } }));

/** Through both routers, IPv4 and IPv6. */
function asking(index: number): BfdPeerSpec[] {
  const there = ASKING.find((other) => other !== index);
  if (there === undefined || !ASKING.some((each) => each === index)) return [];
  const local = uplinkAddresses(index, 2).map(bare);
  return uplinkAddresses(there, 2).map((address, i) => ({
    address: bare(address),
    local: local[i] ?? '',
    multihop: true,
    mode: 'seamless',
    intervalMs: 300,
    multiplier: 3,
    holdDownMs: 0,
  }));
}
const [fra, ams] = nodes;
const PREFIXES = echoService.spec.prefixes;
const within = 60_000;

let world: World;
before(async () => {
  if (skip !== false) return;
  world = await World.make(nodes);
  using admin = world.under.admin();
  await admin.apply([echoService], null);
});
after(() => world?.end());

const scenario = (name: string, run: () => Promise<void>): void => {
  test(name, { skip, timeout: 240_000 }, () => world.tellingLogs(run));
};

/** What a speaker that is not of Aether has: the edges that a prefix leads to, by their uplinks. */
async function edgesAt(host: string, prefix: string): Promise<string[]> {
  const routes = await world.under.lab.router(host).routes(prefix);
  return nodes
    .filter((_, index) =>
      routes.some(({ nextHop }) => uplinkAddresses(index, 2).map(bare).includes(nextHop)),
    )
    .map(({ metadata }) => metadata.name);
}

const seenBy = (host: string, prefix: string, wanted: readonly string[]): Promise<unknown> =>
  eventually(
    `${host} has ${prefix} by ${wanted.join(', ')} alone`,
    async () => {
      const found = await edgesAt(host, prefix);
      if (found.join() === wanted.join()) return true;
      throw new Error(found.join() || 'by nobody');
    },
    { within, times: 2 },
  );

const names = nodes.map(({ metadata }) => metadata.name);

scenario('every edge announces both families, and the nearest ones serve', async () => {
  for (const prefix of PREFIXES) await seenBy(OBSERVER, prefix, names);
  for (const address of Object.values(SERVICE)) {
    const serving = await eventually(
      `${address} is served`,
      () => servedBy(world.under.lab, address),
      { within },
    );
    assert.ok(['fra-1', 'ams-1'].includes(serving), `${serving} is not behind the client's router`);
  }
  using admin = world.under.admin();
  const { edges, seen } = await admin.describeService('echo');
  assert.deepEqual(
    edges.filter(({ announced }) => announced).map(({ node }) => node),
    [...names].sort(),
  );
  const known = new Set(seen.observers.flatMap(({ paths }) => paths.map(({ node }) => node)));
  for (const name of names) assert.ok(known.has(name), `${name} is seen at the observer`);
});

scenario('filters of edges answer for them, through both routers', async () => {
  for (const index of ASKING) {
    const node = nodes[index]?.metadata.name ?? '';
    await eventually(
      `${node} is answered`,
      async () => {
        using admin = world.under.admin();
        const [view] = await admin.routing(node);
        const sessions = view?.status?.bfdPeers ?? [];
        const up = sessions.filter(({ mode, state }) => mode === 'seamless' && state === 'up');
        if (up.length === 2) return true;
        throw new Error(JSON.stringify(sessions));
      },
      { within },
    );
  }
});

const CONTROL = ['ctl-1', 'temporal', 'etcd-1'];

scenario(
  'a silent cut moves traffic with no control plane, and is on record afterwards',
  async () => {
    assert.ok(fra && ams);
    const { lab } = world.under;
    const router = routerOfNode(fra);
    for (const name of CONTROL) await lab.stop(name);
    const lost = (await servedBy(lab, SERVICE.ipv4)) ?? '';
    const other = lost === 'fra-1' ? 'ams-1' : 'fra-1';
    await cut(lab, lost, 'silent');
    await eventually(
      `${other} serves instead`,
      async () => (await servedBy(lab, SERVICE.ipv4)) === other,
      { within: 8_000 }, // less than the hold time: it was BFD
    );
    for (const prefix of PREFIXES) await seenBy(router, prefix, [other]);
    await heal(lab, lost);
    for (const prefix of PREFIXES) await seenBy(router, prefix, ['fra-1', 'ams-1']);
    for (const name of [...CONTROL].reverse()) await lab.start(name);
    const recorded = async (): Promise<boolean> => {
      using admin = world.under.admin();
      const { lifecycle } = await admin.describe(lost);
      const causes = (lifecycle?.penalties ?? []).flatMap((penalty) => penalty.causes);
      return causes.some(({ cause }) => cause === 'bfdDown');
    };
    await eventually(`the cut of ${lost} is on record`, recorded, { within });
  },
);
