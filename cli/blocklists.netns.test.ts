import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { FilterAnswer } from '../core/filter/questions';
import type { BlocklistDescription, BlocklistView } from '../core/model/views';
import { TestLab, cannotRunLabs, exampleNode } from '../lab/testing';
import { routerOfNode } from '../lab/topology';
import { eventually } from '../lab/wait';
import { EXIT } from './exit-codes';
import type { ListRehearsal } from './rehearsal-output';
import { aetherIn, type Ended } from './testing';

const skip = cannotRunLabs();
const node = exampleNode('fra-1', 1);
node.metadata.labels = { tier: 'edge' };
const [uplink] = node.spec.filters;
assert.ok(uplink);
uplink.failsafe = ['203.0.113.7/32'];
uplink.rules = {
  mode: 'enforce',
  entries: [
    {
      name: 'ntp-amplified',
      reason: '',
      expiresAtMs: null,
      mode: 'enforce',
      destination: null,
      protocol: 17,
      sourcePort: { min: 123, max: 123 },
      destinationPort: null,
      length: { min: 468, max: 65_535 },
      tcpFlags: null,
      fragment: null,
    },
  ],
};
let under: TestLab;
let scratch: string;

before(async () => {
  if (skip !== false) return;
  scratch = mkdtempSync(join(tmpdir(), 'aether-cli-'));
  under = await TestLab.up([node]);
  using admin = under.admin();
  await admin.apply([node], null);
  await under.settled(node, 60_000);
});
after(async () => {
  await under?.end();
  if (scratch !== undefined) rmSync(scratch, { recursive: true });
});

const aether = (...argv: string[]): Promise<Ended> => aetherIn(under.lab, argv);

async function must(...argv: string[]): Promise<string> {
  const { code, stdout, stderr } = await aether(...argv);
  assert.equal(code, EXIT.ok, `aether ${argv.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

const json = async <T>(...argv: string[]): Promise<T> =>
  JSON.parse(await must(...argv, '--json')) as T;

type Stats = Extract<FilterAnswer, { kind: 'stats' }>;
type Top = Extract<FilterAnswer, { kind: 'top' }>;

const list = (spec: string): string => {
  const file = join(scratch, 'list.yaml');
  writeFileSync(
    file,
    `apiVersion: aether.dev/v1\nkind: Blocklist\nmetadata: { name: bad }\nspec: ${spec}\n`,
  );
  return file;
};

/** Of the link between the router and the node's uplink. */
const [ROUTER, UPLINK] = ['198.19.0.1', '198.19.0.2'] as const;

/** Whether a packet of the router gets through the filter. */
async function reaches(): Promise<boolean> {
  return (
    (await under.lab.exec(routerOfNode(node), ['ping', '-c', '1', '-W', '1', UPLINK])).code === 0
  );
}

const applied = () =>
  eventually(
    'its edge has applied it',
    async () => {
      const [view] = await json<BlocklistView[]>('get', 'blocklists');
      return view?.bound === 1 && view.applied === 1;
    },
    { within: 20_000 },
  );

const trace = (...packet: string[]): Promise<string> => must('filter', 'trace', 'fra-1', ...packet);

test(
  'a blocklist is applied, listed and described; its edge drops what is in it',
  { skip },
  async () => {
    assert.match(await trace('--from', '192.0.2.7', '--udp', '53'), /^pass: passed/);
    const file = list('{ nodes: { tier: edge }, entries: [192.0.2.0/24, "2001:db8:bad::/48"] }');
    assert.match(await must('plan', '-f', file), /^\+ Blocklist bad/);
    assert.match(await must('apply', '-f', file), /^\+ Blocklist bad {2}revision \d+/);
    await applied();
    assert.match(
      await must('get', 'blocklists'),
      /^BLOCKLIST.*\nbad +enforce +2 +0 +tier=edge +1 of 1 +-/,
    );
    const found = await json<BlocklistDescription>('describe', 'blocklist', 'bad');
    assert.deepEqual(found.nodes, [{ node: 'fra-1', connected: true, applied: true, note: null }]);
    assert.match(await must('describe', 'blocklist', 'bad'), /fra-1 +connected +yes/);
    assert.match(
      await trace('--from', '192.0.2.7', '--udp', '53'),
      /^drop: dropped, blocked source/,
    );
    assert.match(await trace('--from', '2001:db8:bad::1', '--tcp', '443'), /^drop/);
    const stats = await json<Stats>('filter', 'stats', 'fra-1');
    assert.equal(stats.filters[0]?.blocked, 2);
  },
);

test('trace knows rules by their shape', { skip }, async () => {
  const ntp = ['--from', '198.51.100.1', '--udp', '4500', '--source-port', '123'];
  assert.match(await trace(...ntp, '--length', '468'), /^drop: dropped, rule \(.*ntp-amplified/);
  assert.match(await trace(...ntp, '--length', '90'), /^pass/);
});

/** A second source, beside the router's own address. */
const GUEST = '198.51.100.77';

/** Enough of them that some are sampled; whether they are answered does not matter. */
const flood = (source: string) =>
  under.lab.exec(routerOfNode(node), [
    'ping',
    '-f',
    '-q',
    '-c',
    '300',
    '-W',
    '1',
    '-I',
    source,
    UPLINK,
  ]);

test('a list is rehearsed on sampled packets before it goes live', { skip }, async () => {
  await under.lab.exec(routerOfNode(node), ['ip', 'address', 'add', `${GUEST}/32`, 'dev', 'lo']);
  const feed = join(scratch, 'candidate.txt');
  const run = (...argv: string[]) => aether('blocklist', 'rehearse', '-f', feed, ...argv);
  const sampled = async (): Promise<string[]> => {
    writeFileSync(feed, `${GUEST}\n${ROUTER}\n`);
    const { stdout } = await run('--json');
    const { nodes } = JSON.parse(stdout) as ListRehearsal;
    return nodes[0]?.filters[0]?.cut.top.map(({ source }) => source) ?? [];
  };
  await eventually(
    'packets of both are sampled',
    async () => {
      for (const source of [ROUTER, GUEST]) await flood(source);
      const found = await sampled();
      return [ROUTER, GUEST].every((source) => found.includes(source));
    },
    { within: 60_000 },
  );
  const counters = async () => {
    const { dropBlock, shadowBlock } = (await json<Stats>('filter', 'stats', 'fra-1')).filters[0]!
      .counters;
    return [dropBlock, shadowBlock];
  };
  const before = await counters();

  writeFileSync(feed, '198.51.100.64/26\n203.0.113.0/24\n');
  const { code, stdout } = await run('--exit-code');
  assert.equal(code, EXIT.changes, stdout);
  assert.match(stdout, /^2 prefixes; nothing was changed\./);
  assert.match(stdout, /fra-1 uplink0: of \d+ sampled packets .* of 1 source cut off\.$/m);
  assert.match(stdout, /^198\.51\.100\.77 +cut off +198\.51\.100\.64\/26 +\d+$/m);
  assert.doesNotMatch(stdout, new RegExp(`^${ROUTER.replaceAll('.', '\\.')} `, 'm'));
  assert.match(stdout, /203\.0\.113\.0\/24 meets 203\.0\.113\.7\/32, which is failsafe/);
  assert.equal((await run()).code, EXIT.ok, 'only --exit-code speaks of it');

  assert.ok(await reaches(), 'the router gets through');
  assert.deepEqual(await counters(), before);
  writeFileSync(feed, '100.64.0.0/10\n');
  const nobody = await run('--exit-code');
  assert.equal(nobody.code, EXIT.ok, nobody.stdout + nobody.stderr);
  assert.match(nobody.stdout, /nobody would be cut off/);
});

test('what is rehearsed is a Blocklist or a feed, on nodes that are there', { skip }, async () => {
  const file = list(`{ nodes: { tier: edge }, mode: count, entries: [${GUEST}] }`);
  const found = await must('blocklist', 'rehearse', '-f', file);
  assert.match(found, /only counts; rehearsed as if it were enforced/);
  assert.match(found, /^198\.51\.100\.77 +cut off +198\.51\.100\.77\/32/m);
  const elsewhere = ['blocklist', 'rehearse', '-f', file, '--nodes', 'tier=core'];
  assert.equal((await aether(...elsewhere)).code, EXIT.notFound);
  const page = join(scratch, 'page.html');
  writeFileSync(page, '<html>\n<body>\n<p>Not found</p>\n');
  const refused = await aether('blocklist', 'rehearse', '-f', page);
  assert.equal(refused.code, EXIT.invalid);
  assert.match(refused.stderr, /would not be believed/);
  const missing = await aether('blocklist', 'rehearse', '-f', join(scratch, 'nowhere'));
  assert.equal(missing.code, EXIT.notFound);
});

test('block and unblock: at once, on the wire', { skip }, async () => {
  assert.ok(await reaches());
  const began = performance.now();
  const said = await must(
    'block',
    ROUTER,
    '--for',
    '1h',
    '--reason',
    'test',
    '--nodes',
    'tier=edge',
  );
  const tookMs = performance.now() - began;
  assert.match(said, /is blocked for 1h: written, for 1 node, all connected\./);
  assert.match(
    await must('get', 'blocks'),
    /198\.19\.0\.1\/32 +for 60 min +1: tier=edge .* test$/m,
  );
  await eventually('it is dropped', async () => !(await reaches()), { within: 10_000 });
  const { counters } = (await json<Stats>('filter', 'stats', 'fra-1')).filters[0] ?? {};
  assert.ok((counters?.dropBlock.packets ?? 0) > 0);
  const top = await json<Top>('filter', 'top', 'fra-1', '--once');
  assert.ok(top.entries.every(({ source }) => source === ROUTER || source?.includes(':')));
  assert.match(await must('filter', 'top', 'fra-1', '--once'), /SOURCE|No sample/);
  assert.match(await must('unblock', ROUTER, '--wait'), /is blocked no more: 1 node so\./);
  assert.match(await must('get', 'blocks'), /Nothing is blocked by hand/);
  assert.ok(await reaches(), 'what is waited for is in force');
  await must('block', ROUTER, '--wait');
  assert.ok(!(await reaches()), 'what is waited for is in force');
  await must('unblock', ROUTER);
  await eventually('it gets through', reaches, { within: 10_000 });
  // The process itself takes most of it; that the answer comes within a second is tested beside the controller.
  assert.ok(tookMs < 10_000);
});

test('what must not be blocked is refused with its reason', { skip }, async () => {
  const failsafe = await aether('block', '203.0.113.0/24');
  assert.equal(failsafe.code, EXIT.conflict);
  assert.match(failsafe.stderr, /203\.0\.113\.7\/32, which is failsafe on node fra-1/);
  const controller = await aether('block', '198.18.3.0/24', '--for', '1m');
  assert.equal(controller.code, EXIT.conflict);
  assert.match(controller.stderr, /198\.18\.3\.1\/32, an address of this controller/);
  const everything = await aether('block', '0.0.0.0/0');
  assert.equal(everything.code, EXIT.conflict);
  assert.match(everything.stderr, /--force/);
  const file = list('{ nodes: { tier: edge }, entries: [203.0.113.0/24] }');
  const refused = await aether('apply', '-f', file);
  assert.equal(refused.code, EXIT.invalid);
  assert.match(refused.stderr, /list\.yaml:4:\d+ spec\.entries\[0\]: .*failsafe on node "fra-1"/);
  assert.equal((await aether('unblock', '198.51.100.9')).code, EXIT.notFound);
  assert.equal((await aether('block', '192.0.2.1', '--nodes', 'edge')).code, EXIT.usage);
});

test('a feed is loaded, refreshed, and kept when it fails', { skip }, async () => {
  const feed = join(scratch, 'feed.txt');
  writeFileSync(feed, '198.51.100.0/25\n198.51.100.129\n');
  const url = `file://${feed}`;
  await must('apply', '-f', list(`{ nodes: { tier: edge }, feed: { url: "${url}" } }`));
  await eventually(
    'it is loaded',
    async () => (await json<BlocklistView[]>('get', 'blocklists', 'bad'))[0]?.count === 2,
    { within: 20_000 },
  );
  await applied();
  assert.match(await trace('--from', '198.51.100.1'), /^drop/);
  writeFileSync(feed, '198.51.100.0/25\n198.18.3.1\n');
  const ours = await aether('blocklist', 'refresh', 'bad');
  assert.match(ours.stdout, /Not believed: .*198\.18\.3\.1/);
  writeFileSync(feed, '198.51.100.129\n');
  assert.match(await must('blocklist', 'refresh', 'bad'), /1 prefix: 0 added, 1 removed/);
  rmSync(feed);
  const gone = await aether('blocklist', 'refresh', 'bad');
  assert.equal(gone.code, EXIT.failed);
  assert.match(gone.stdout, /Not believed: ENOENT.* The list before it stands \(1 prefix\)/);
  assert.match(await must('get', 'blocklists'), /not believed, good .* ago/);
});

test('delete ends it', { skip }, async () => {
  assert.match(await must('delete', 'blocklist', 'bad'), /bad is gone/);
  await eventually(
    'nothing is blocked',
    async () => (await trace('--from', '198.51.100.129')).startsWith('pass'),
    { within: 20_000 },
  );
  assert.match(await must('get', 'blocklists'), /No blocklists/);
});

test('an edge that can not be asked is named by a rehearsal', { skip }, async () => {
  const away = exampleNode('fra-2', 2);
  away.metadata.labels = { tier: 'spare' };
  using admin = under.admin();
  await admin.apply([away], null);
  const file = list('{ nodes: { tier: spare }, entries: [192.0.2.0/24] }');
  const { code, stdout } = await aether('blocklist', 'rehearse', '-f', file, '--exit-code');
  assert.equal(code, EXIT.unreachable);
  assert.match(stdout, /^fra-2: not rehearsed: edge fra-2 is not connected$/m);
});
