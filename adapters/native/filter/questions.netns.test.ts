import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { FilterAnswer, FilterQuestion, Reason } from '../../../core/filter/questions';
import type { ShapeRule } from '../../../core/model/node';
import { waitFor } from '../test-support';
import { FilterEngine } from './engine';
import { answer } from './questions';
import { contentsFor, frameFrom, testEngine, testInterface, verdicts } from './testing/support';

type Of<Kind> = Extract<FilterAnswer, { kind: Kind }>;

const ECHO: ShapeRule = {
  name: 'echo',
  reason: 'reflected',
  expiresAtMs: null,
  mode: 'enforce',
  destination: null,
  protocol: 17,
  sourcePort: null,
  destinationPort: { min: 7, max: 7 },
  length: null,
  tcpFlags: null,
  fragment: null,
};

async function setup(t: TestContext) {
  const { engine, blobs } = await testEngine(t);
  const { name, index } = await testInterface(t, engine);
  const wanted = contentsFor(name, {
    failsafe: ['198.51.100.7/32'],
    allow: { mode: 'enforce', prefixes: ['198.51.100.8/32'] },
    lists: [
      blobs.list('bad', ['198.51.100.0/24', '2001:db8:e::/48']),
      { ...blobs.list('maybe', ['203.0.113.0/24']), mode: 'count' },
    ],
    blocks: ['192.0.2.99/32'],
    rules: { mode: 'enforce', entries: [{ ...ECHO, name: 'first', protocol: 132 }, ECHO] },
    sampleEvery: 1,
  });
  assert.equal((await engine.setFilters([wanted]))[0]?.error, null);
  await engine.attach(name, index, 'native');
  return { engine, blobs, name, wanted };
}

const ask = async <Kind extends FilterAnswer['kind']>(
  engine: FilterEngine,
  question: FilterQuestion & { kind: Kind },
): Promise<Of<Kind>> => (await answer(engine, question, async () => 'native')) as Of<Kind>;

test('stats: what was counted, what is held, and what it weighs', async (t) => {
  const { engine, name, wanted } = await setup(t);
  verdicts(name, '198.51.100.1', '198.51.100.7', '198.51.100.8', '203.0.113.1', '192.0.2.99');
  const [stats] = (await ask(engine, { kind: 'stats' })).filters;
  assert.ok(stats);
  const seen = (reason: Reason): number => stats.counters[reason].packets;
  assert.deepEqual(
    [seen('dropBlock'), seen('passFailsafe'), seen('passAllow'), seen('shadowBlock')],
    [2, 1, 1, 1],
  );
  assert.equal(stats.counters.passAllow.bytes, frameFrom('198.51.100.8').length);
  assert.deepEqual([stats.mode, stats.programTag, stats.problem], ['native', engine.tag, null]);
  assert.deepEqual(stats.contents, wanted);
  assert.deepEqual([stats.blocked, stats.shadowed], [3, 1]);
  // An image of IPv4 is 4 MiB at least, and there are four of them.
  assert.ok(stats.memoryBytes > 16e6 && stats.memoryBytes < 40e6, `${stats.memoryBytes}`);
});

test('top: who was dropped, by what, most first', async (t) => {
  const { engine, name } = await setup(t);
  const sinceMs = Date.now() - 1000;
  verdicts(name, '198.51.100.1', '198.51.100.1', '198.51.100.1', '2001:db8:e::9', '203.0.113.1');
  verdicts(name, '192.0.2.99', '192.0.2.99', '192.0.2.1');
  const dropped = async () => (await ask(engine, { kind: 'top', sinceMs, limit: 10 })).entries;
  await waitFor('the samples', async () => (await dropped()).length === 4);
  const told = (await dropped()).map(({ reason, source, entry, samples }) =>
    [reason, source, entry, samples].join(' '),
  );
  assert.equal(told[0], 'dropBlock 198.51.100.1 bad 3');
  assert.equal(told[1], 'dropBlock 192.0.2.99 192.0.2.99/32 2');
  assert.deepEqual(told.slice(2).sort(), [
    'dropBlock 2001:db8:e::9 bad 1',
    'shadowBlock 203.0.113.1 maybe 1',
  ]);
  assert.equal((await ask(engine, { kind: 'top', sinceMs, limit: 1 })).entries.length, 1);
  const later = await ask(engine, { kind: 'top', sinceMs: Date.now() + 1000, limit: 10 });
  assert.deepEqual(later.entries, []);
});

test('trace: the verdict on a packet and the entry that decided; nothing is counted', async (t) => {
  const { engine, blobs, name, wanted } = await setup(t);
  // What passes is counted of the kernel's own packets as well.
  const counted = async (): Promise<number[]> => {
    const counters = (await ask(engine, { kind: 'stats' })).filters[0]?.counters;
    const reasons = ['dropBlock', 'dropRule', 'dropMalformed', 'shadowBlock', 'passAllow'] as const;
    return reasons.map((reason) => counters?.[reason].packets ?? NaN);
  };
  const trace = (frame: Buffer) =>
    ask(engine, { kind: 'trace', interface: name, packet: frame.toString('hex') });
  const of = async (frame: Buffer): Promise<string> => {
    const { verdict, reason, because } = await trace(frame);
    return `${verdict} ${reason}: ${because}`;
  };
  assert.match(await of(frameFrom('198.51.100.1')), /^drop dropBlock: .*198\.51\.100\.1.*\(bad\)/);
  assert.match(await of(frameFrom('192.0.2.99')), /^drop dropBlock: .*\(192\.0\.2\.99\/32\)/);
  assert.match(await of(frameFrom('198.51.100.7')), /^pass passFailsafe: .*198\.51\.100\.7\/32/);
  assert.match(await of(frameFrom('198.51.100.8')), /^pass passAllow/);
  assert.match(await of(frameFrom('203.0.113.5')), /^pass pass: .*only counts \(maybe\)/);
  assert.match(await of(frameFrom('192.0.2.1', 7)), /^drop dropRule: .*\(echo\)/);
  assert.match(await of(frameFrom('2001:db8:e::1')), /^drop dropBlock: .*\(bad\)/);
  assert.match(await of(frameFrom('192.0.2.1')), /^pass pass: nothing speaks against it/);
  assert.match(await of(frameFrom('192.0.2.1').subarray(0, 20)), /^drop dropMalformed/);
  assert.deepEqual(await counted(), [0, 0, 0, 0, 0]);
  await assert.rejects(trace(Buffer.alloc(3)), /14 to/);
  const odd = { kind: 'trace', interface: name, packet: 'xyz' } as const;
  await assert.rejects(ask(engine, odd), /hexadecimal/);
  const elsewhere = { ...odd, interface: 'nowhere0', packet: '00'.repeat(20) };
  await assert.rejects(ask(engine, elsewhere), /no filter is attached/);

  // An agent that has adopted what is there knows the lists by name, too.
  engine.close();
  const next = await FilterEngine.open(blobs);
  t.after(() => next.close());
  await next.setFilters([wanted]);
  const packet = frameFrom('198.51.100.1').toString('hex');
  const again = await ask(next, { kind: 'trace', interface: name, packet });
  assert.match(again.because, /\(bad\)/);
});
