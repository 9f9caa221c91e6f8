/** Blocklists and prefixes blocked by hand, from the operator to the packets and back. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BlocklistResource } from '../core/model/blocklist';
import { API_VERSION, type NodeResource } from '../core/model/node';
import { World } from './e2e';
import { cannotRunLabs, exampleNode } from './testing';
import { ROOT } from './tools';
import { UPLINK, routerOfNode } from './topology';
import { eventually } from './wait';

const skip = cannotRunLabs();
const labelled = (name: string, index: number, shield: string): NodeResource => {
  const node = exampleNode(name, index);
  return { ...node, metadata: { ...node.metadata, labels: { shield } } };
};
const fra = labelled('fra-1', 1, 'on');
const ams = labelled('ams-1', 2, 'off');

/** The router's addresses on its link to each edge, and the edge's own there (topology.ts). */
const LINKS = {
  'fra-1': { router: '198.19.0.1', edge: '198.19.0.2' },
  'ams-1': { router: '198.19.0.5', edge: '198.19.0.6' },
} as const;
type Edge = keyof typeof LINKS;

const PREFIXES = 900;
const many = (...others: string[]): BlocklistResource => ({
  apiVersion: API_VERSION,
  kind: 'Blocklist',
  metadata: { name: 'bad', labels: {} },
  spec: {
    nodes: { shield: 'on' },
    mode: 'enforce',
    entries: [
      ...Array.from({ length: PREFIXES }, (_, i) => `100.64.${i >> 8}.${i & 255}/32`),
      ...others,
    ].map((prefix) => ({ prefix, reason: '', expiresAtMs: null })),
    feed: null,
  },
});

let world: World;
before(async () => {
  if (skip === false) world = await World.make([fra, ams]);
});
after(() => world?.end());

const scenario = (name: string, run: () => Promise<void>): void => {
  test(name, { skip }, () => world.tellingLogs(run));
};

/** Whether the router gets an answer from the edge over their link. */
async function answers(edge: Edge): Promise<boolean> {
  const argv = ['ping', '-c1', '-W0.5', '-I', LINKS[edge].router, LINKS[edge].edge];
  return (await world.under.lab.exec(routerOfNode(fra), argv)).code === 0;
}

const silent = (edge: Edge): Promise<unknown> =>
  eventually(`${edge} drops what the router sends`, async () => !(await answers(edge)), {
    within: 15_000,
  });
const heard = (edge: Edge): Promise<unknown> =>
  eventually(`${edge} answers the router`, () => answers(edge), { within: 15_000 });

/** What an edge counted as dropped for its source. */
async function dropped(edge: Edge): Promise<number> {
  using admin = world.under.admin();
  const answer = await admin.askFilter(edge, { kind: 'stats' });
  assert.equal(answer.kind, 'stats');
  const filter = answer.filters.find(({ interface: name }) => name === UPLINK);
  assert.ok(filter);
  return filter.counters.dropBlock.packets;
}

/** `aether edge …` on the host of an edge, as its root types it. */
async function onHost(edge: Edge, ...argv: string[]): Promise<string> {
  const cli = join(ROOT, 'dist/cli/main.js');
  return await world.under.lab.must(edge, [process.execPath, cli, 'edge', ...argv]);
}

scenario('a list is enforced on the nodes that it selects, and on no other', async () => {
  assert.ok((await answers('fra-1')) && (await answers('ams-1')));
  using admin = world.under.admin();
  await admin.apply([many(`${LINKS['fra-1'].router}/32`, `${LINKS['ams-1'].router}/32`)], null);
  await eventually(
    'the list is applied',
    async () => {
      const [view] = await admin.getBlocklists('bad');
      return view?.bound === 1 && view.applied === 1 && view.count === PREFIXES + 2;
    },
    { within: 30_000 },
  );
  assert.equal(await answers('fra-1'), false);
  assert.equal(await answers('ams-1'), true);
  assert.ok((await dropped('fra-1')) > 0);
  assert.equal(await dropped('ams-1'), 0);
  const { edge } = await admin.describe('fra-1');
  assert.deepEqual(edge?.filters?.lists, [
    {
      name: 'bad',
      mode: 'enforce',
      wanted: PREFIXES + 2,
      held: PREFIXES + 2,
      chunksMissing: 0,
    },
  ]);
  await world.under.settled(fra);
});

scenario('a changed list takes its place, and no workflow of repair runs for it', async () => {
  using admin = world.under.admin();
  const sinceMs = Date.now();
  await admin.apply([many()], null);
  await heard('fra-1');
  await admin.apply([many(`${LINKS['fra-1'].router}/32`)], null);
  await silent('fra-1');
  await world.under.settled(fra);
  assert.deepEqual(await world.repairs('fra-1', sinceMs), []);
});

scenario('aether block is in force on the edge within a second, and ends by itself', async () => {
  using admin = world.under.admin();
  const block = { blocked: true, reason: 'flood', forMs: 10_000, nodes: {}, force: false };
  const began = performance.now();
  await admin.block({ ...block, prefix: LINKS['ams-1'].router });
  const answered = performance.now() - began;
  await silent('ams-1');
  // Under whatever load the tests run in, with the time that the ping waits in vain.
  const inForce = performance.now() - began;
  console.log(`answered after ${answered.toFixed(0)} ms, in force before ${inForce.toFixed(0)} ms`);
  assert.ok(inForce < 5_000, `${inForce} ms`);
  await heard('ams-1');
  await admin.block({ ...block, prefix: LINKS['ams-1'].router, forMs: 0 });
  await silent('ams-1');
  await admin.block({ ...block, prefix: LINKS['ams-1'].router, blocked: false });
  await heard('ams-1');
});

scenario(
  'without a controller the list goes on, and prefixes are blocked on the host',
  async () => {
    const { lab } = world.under;
    await lab.stop('ctl-1');
    assert.equal(await answers('fra-1'), false);
    const said = await onHost('ams-1', 'block', LINKS['ams-1'].router, '--for', '1h');
    assert.match(said, /^198\.19\.0\.5 is blocked on this host for 1h \(in force after \d/);
    assert.equal(await answers('ams-1'), false);
    assert.match(await onHost('ams-1', 'status'), /by hand +block 198\.19\.0\.5\/32, \d+ min more/);
    assert.match(await onHost('ams-1', 'filter', 'stats'), /dropped, blocked source +\d+/);
    await onHost('fra-1', 'allow', LINKS['fra-1'].router, '--reason', 'a customer');
    assert.equal(await answers('fra-1'), true);
    const refused = await lab.exec('fra-1', [
      ...[process.execPath, join(ROOT, 'dist/cli/main.js'), 'edge', 'unblock'],
      LINKS['fra-1'].router,
    ]);
    assert.equal(refused.code, 5, refused.stderr);
    assert.match(refused.stderr, /the list bad blocks it still; .*aether edge allow/);
    assert.equal(await answers('fra-1'), false);
    await onHost('ams-1', 'unblock', LINKS['ams-1'].router);
    assert.equal(await answers('ams-1'), true);

    await lab.start('ctl-1');
    await world.under.settled(fra, 30_000);
    await world.under.settled(ams, 30_000);
  },
);

scenario('a list that is deleted lets its sources go', async () => {
  using admin = world.under.admin();
  assert.equal(await answers('fra-1'), false);
  await admin.delete('bad', false, 'Blocklist');
  await heard('fra-1');
  await world.under.settled(fra);
});
