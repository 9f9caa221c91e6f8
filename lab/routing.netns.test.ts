/** One address from every edge, seen from outside: by the routers, the observer and the client. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { cut, heal } from './cuts';
import { World } from './e2e';
import { servedBy } from './reach';
import { cannotRun } from './routers';
import { SERVICE, cannotRunLabs, echoService, speakingNode } from './testing';
import { OBSERVER, bare, routerOfNode, uplinkAddresses } from './topology';
import { eventually } from './wait';

const skip = cannotRunLabs() || cannotRun('bird') || cannotRun('frr') || cannotRun('gobgpd');
/** Two edges behind BIRD, one behind FRR. */
const nodes = [
  speakingNode('fra-1', 1, 0),
  speakingNode('ams-1', 2, 0),
  speakingNode('nyc-1', 3, 1),
];
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
