/** Two controllers, real etcd: each answers by what the other one's edges say. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { AdminClient } from '../../adapters/admin/client';
import type { RouteOrder } from '../../adapters/admin/proto';
import { withoutEtcd } from '../../adapters/etcd/testing';
import { until } from '../../workflows/testing/until';
import { aether } from './testing/cli';
import { populate, routingNode, service } from './testing/routing-world';
import { twoControllers } from './testing/two';

const skip = withoutEtcd;

const order = (over: Partial<RouteOrder>): RouteOrder => ({
  ...{ verb: 'drain', node: null, service: null, from: null, to: null },
  ...{ reason: 'a test', force: false, forMs: 0 },
  ...over,
});

/** What a call came to, for a comparison: the answer, or the refusal. */
const outcome = (work: Promise<unknown>): Promise<unknown> =>
  work.catch((error: unknown) => (error as Error).message);

/** Ages and times of asking are those of the moment. */
const timeless = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (key, each: unknown) =>
      [
        'heardAtMs',
        'atMs',
        'packets',
        'controller',
        'shardsOwned',
        'certificates',
        'changes',
      ].includes(key)
        ? 0
        : each,
    ),
  );

/** In the end: between two looks an edge may have said something. */
async function assertSame(
  sides: readonly AdminClient[],
  what: string,
  ask: (side: AdminClient) => Promise<unknown>,
): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const answers = await Promise.all(sides.map((side) => outcome(ask(side))));
    const [here, there] = answers.map(timeless);
    if (isDeepStrictEqual(here, there)) return;
    if (tries === 20) assert.deepEqual(there, here, what);
    await sleep(100);
  }
}

test(
  'every verb answers the same at either controller, whoever has the edge',
  { skip, timeout: 180_000 },
  async (t) => {
    const two = await twoControllers(t, { temporal: false });
    const [mine, theirs] = [two.nameAt('c1', 'fra'), two.nameAt('c2', 'fra')];
    const dns = service('dns', { minAnnouncers: 2 });
    const names = [mine, theirs].sort();
    const world = await populate(t, two.cluster, names, [dns], two.ports);
    await world.announced('dns', ...names);
    const [one, other] = [two.cluster.admin, two.other.admin];
    const sides: readonly AdminClient[] = [one, other];
    await until('each has one of the two, and both know', async () => {
      const told = await Promise.all(sides.map(async (side) => (await side.status()).controllers));
      return told.every((all) => all.every(({ heard, edges }) => heard && edges === 1));
    });

    /** What is asked of both, of the node of the one and of the other. */
    const reads: readonly [string, (side: AdminClient, node: string) => Promise<unknown>][] = [
      ['get', (side) => side.get()],
      ['get one', (side, node) => side.get(node)],
      ['get services', (side) => side.getServices()],
      ['get blocklists', (side) => side.getBlocklists()],
      ['get blocks', (side) => side.getBlocks()],
      ['describe', (side, node) => side.describe(node)],
      ['describe service', (side) => side.describeService('dns')],
      ['explain', (side, node) => side.explain(node)],
      ['plan', (side, node) => side.plan([{ ...routingNode(node, 9) }])],
      ['routing', (side, node) => side.routing(node)],
      ['status', (side) => side.status()],
      ['ring', (side) => side.ring()],
      ['drain controller', (side) => side.drainController('c9', true)],
      ['ask filter', (side, node) => side.askFilter(node, { kind: 'services' })],
      ['progress', (side, node) => side.routeProgress(`node/${node}/drain`)],
      ['drain', (side, node) => side.route(order({ node }))],
      ['undrain', (side, node) => side.route(order({ verb: 'undrain', node }))],
      ['drain service', (side) => side.route(order({ service: 'dns' }))],
      ['failover', (side) => side.route(order({ verb: 'failover', service: 'dns', from: 'fra' }))],
      ['fail back', (side) => side.route(order({ verb: 'failBack', service: 'dns' }))],
      ['release', (side, node) => side.route(order({ verb: 'release', node }))],
      ['approve', (side, node) => side.approve(node, 'x')],
      ['audit', (side) => side.audit()],
      ['delete by force', (side, node) => side.delete(node, true)],
    ];
    for (const [verb, ask] of reads) {
      for (const node of names) {
        await assertSame(sides, `${verb} ${node}`, (side) => ask(side, node));
      }
    }
    const floor = /dns must have 2 announcers, and only 1 would be left/;
    for (const side of sides) await assert.rejects(side.route(order({ node: theirs })), floor);

    const writes: readonly [string, (side: AdminClient) => Promise<unknown>][] = [
      ['freeze', (side) => side.freeze(mine, true, 'a test')],
      ['freeze', (side) => side.freeze(theirs, true, 'a test')],
      ['apply', (side) => side.apply([service('web', { prefixes: ['203.0.113.20/32'] })], null)],
      [
        'block',
        (side) =>
          side.block({
            ...{ prefix: '198.51.100.7', blocked: true, reason: 'a test' },
            ...{ forMs: 0, nodes: {}, force: false },
          }),
      ],
    ];
    for (const [verb, write] of writes) {
      for (const side of sides)
        await write(side).then(undefined, (e: Error) => assert.fail(`${verb}: ${e.message}`));
    }
    await until('both see what was written by either', async () => {
      const seen = await Promise.all(
        sides.map(async (side) => [
          (await side.get()).every(({ frozen }) => frozen),
          (await side.getServices()).length === 2,
          (await side.getBlocks()).length === 1,
        ]),
      );
      return seen.flat().every(Boolean);
    });
    const shown = await aether(two.other, 'status');
    assert.match(shown.stdout, /\nc1 +heard +\d+ +1 .*\nc2 +heard +\d+ +1 /);
  },
);

test(
  'news of an edge goes on at once; of a controller that is gone it is told that it is old',
  { skip, timeout: 180_000 },
  async (t) => {
    const two = await twoControllers(t, { temporal: false });
    const [mine, theirs] = [two.nameAt('c1', 'fra'), two.nameAt('c2', 'fra')];
    const names = [mine, theirs].sort();
    const world = await populate(t, two.cluster, names, [service('dns', {})], two.ports);
    await world.announced('dns', ...names);
    await until('one may withdraw, by the word of both edges', async () => {
      const { edges } = await two.other.admin.describeService('dns');
      return edges.filter(({ permit }) => permit).length === 1;
    });
    world.edge(theirs).prove(false);
    await until('the other one knows', async () => {
      const { edges } = await two.cluster.admin.describeService('dns');
      return edges.find(({ node }) => node === theirs)?.why.includes('the probe fails');
    });

    // Stopped, not killed: its lease runs on, and nobody takes its shards for as long.
    two.other.process.kill('SIGSTOP');
    t.after(() => two.other.process.kill('SIGCONT'));
    const unheard = await until('it is told as old', async () => {
      const [view] = await two.cluster.admin.get(theirs);
      return view?.connected === false ? view : null;
    });
    assert.match(unheard.note ?? '', /^controller c2, which had its stream, is not heard since/);
    two.other.process.kill('SIGCONT');
    await until(
      'it is heard again, or its edge has come',
      async () => {
        const [view] = await two.cluster.admin.get(theirs);
        return view?.connected;
      },
      30_000,
    );
  },
);
