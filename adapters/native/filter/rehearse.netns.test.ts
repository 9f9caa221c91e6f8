import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { FilterAnswer, FilterQuestion, Rehearsal } from '../../../core/filter/questions';
import type { ShapeRule } from '../../../core/model/node';
import { waitFor } from '../test-support';
import { TEST_RUN_MAX_BYTES } from './copy';
import type { FilterEngine } from './engine';
import { wholeFrame } from './packet';
import { answer } from './questions';
import {
  contentsFor,
  frameFrom,
  testEngine,
  testInterface,
  verdictOn,
  verdicts,
} from './testing/support';

/** What `frameFrom` makes. */
const DISCARD: ShapeRule = {
  name: 'discard',
  reason: '',
  expiresAtMs: null,
  mode: 'enforce',
  destination: null,
  protocol: 17,
  sourcePort: null,
  destinationPort: { min: 9, max: 9 },
  length: null,
  tcpFlags: null,
  fragment: null,
};

type Of<Kind> = Extract<FilterAnswer, { kind: Kind }>;

const ask = async <Kind extends FilterAnswer['kind']>(
  engine: FilterEngine,
  question: FilterQuestion & { kind: Kind },
): Promise<Of<Kind>> => (await answer(engine, question, async () => 'native')) as Of<Kind>;

async function setup(t: TestContext) {
  const { engine } = await testEngine(t);
  const { name, index } = await testInterface(t, engine);
  const wanted = contentsFor(name, {
    failsafe: ['203.0.113.7/32'],
    allow: { mode: 'enforce', prefixes: ['203.0.113.8/32'] },
    blocks: ['192.0.2.99/32'],
    sampleEvery: 1,
  });
  assert.equal((await engine.setFilters([wanted]))[0]?.error, null);
  await engine.attach(name, index, 'native');
  return { engine, name };
}

async function samplesOf(engine: FilterEngine, ...sources: string[]): Promise<Of<'sampled'>> {
  const look = () => ask(engine, { kind: 'sampled' });
  await waitFor('the samples', async () => {
    const seen = (await look()).filters[0]?.sources ?? [];
    return sources.every((source) => seen.includes(source));
  });
  return look();
}

const dropped = async (engine: FilterEngine): Promise<number> =>
  (await ask(engine, { kind: 'stats' })).filters[0]?.counters.dropBlock.packets ?? NaN;

const rehearse = async (
  engine: FilterEngine,
  prefixes: string[],
  upTo: number,
  limit = 10,
): Promise<Rehearsal> => {
  const [found] = (await ask(engine, { kind: 'rehearse', prefixes, upTo, limit })).filters;
  assert.ok(found);
  return found;
};

test('sources that pass now and would not are told, with the prefix; nothing live changes', async (t) => {
  const { engine, name } = await setup(t);
  const sources = ['198.51.100.1', '2001:db8:e::9', '192.0.2.1', '203.0.113.7', '203.0.113.8'];
  assert.equal(verdicts(name, '192.0.2.99', ...sources), 'drop pass pass pass pass pass');
  verdicts(name, '198.51.100.1', '198.51.100.1', '2001:db8:e::9');
  const sampled = await samplesOf(engine, ...sources);
  const [seen] = sampled.filters;
  assert.ok(seen && !seen.sources.includes('192.0.2.99'), 'what is dropped is not among them');
  assert.deepEqual([seen.failsafe, seen.allowed], [['203.0.113.7/32'], ['203.0.113.8/32']]);
  const before = await dropped(engine);

  const list = ['198.51.100.0/24', '2001:db8:e::/48', '203.0.113.0/24', '192.0.2.99/32'];
  const found = await rehearse(engine, list, sampled.upTo);
  assert.deepEqual(found.cut, {
    packets: 5,
    sources: 2,
    top: [
      { source: '198.51.100.1', prefix: '198.51.100.0/24', packets: 3 },
      { source: '2001:db8:e::9', prefix: '2001:db8:e::/48', packets: 2 },
    ],
  });
  assert.deepEqual(found.spared.top.map(({ source }) => source).sort(), sources.slice(3));
  assert.equal(found.unjudged, 0);
  assert.ok(found.packets >= 8 && found.oldestAtMs !== null && found.oldestAtMs <= Date.now());
  assert.equal((await rehearse(engine, list, sampled.upTo, 1)).cut.top.length, 1);

  assert.equal(await dropped(engine), before);
  assert.equal(verdicts(name, ...sources), 'pass pass pass pass pass');
});

test('a list that meets nobody cuts nobody, and later samples are left out', async (t) => {
  const { engine, name } = await setup(t);
  assert.equal((await rehearse(engine, ['198.51.100.0/24'], 0)).packets, 0);
  verdicts(name, '198.51.100.1');
  const { upTo } = await samplesOf(engine, '198.51.100.1');
  assert.equal((await rehearse(engine, [], upTo)).cut.packets, 0);
  assert.equal((await rehearse(engine, ['192.0.2.0/24'], upTo)).cut.packets, 0);
  verdicts(name, '198.51.100.2');
  await samplesOf(engine, '198.51.100.2');
  const { cut } = await rehearse(engine, ['198.51.100.0/24'], upTo);
  assert.deepEqual(
    cut.top.map(({ source }) => source),
    ['198.51.100.1'],
  );
});

test('each of many packets is judged', async (t) => {
  const { engine, name } = await setup(t);
  verdicts(name, ...Array.from({ length: 600 }, () => '198.51.100.1'));
  const { upTo } = await samplesOf(engine, '198.51.100.1');
  const { cut } = await rehearse(engine, ['198.51.100.1/32'], upTo);
  assert.deepEqual([cut.packets, cut.sources], [600, 1]);
});

test('who is spared from a rule is not told as spared from the list', async (t) => {
  const { engine, name } = await setup(t);
  const failsafe = ['203.0.113.7/32'];
  const rules = contentsFor(name, {
    failsafe,
    rules: { mode: 'enforce', entries: [DISCARD] },
    sampleEvery: 1,
  });
  assert.equal((await engine.setFilters([rules]))[0]?.error, null);
  assert.equal(verdicts(name, '203.0.113.7', '198.51.100.1'), 'pass drop');
  const { upTo } = await samplesOf(engine, '203.0.113.7');
  assert.equal((await rehearse(engine, ['198.51.100.0/24'], upTo)).spared.packets, 0);
  assert.equal((await rehearse(engine, failsafe, upTo)).spared.packets, 1);
});

test('a frame that GRO has merged is judged by as much as a test run takes', async (t) => {
  const { name } = await setup(t);
  const length = 40_000;
  for (const source of ['198.51.100.1', '2001:db8:e::9']) {
    // The UDP header becomes one of TCP: of 20 bytes, with its data offset.
    const frame = Buffer.concat([frameFrom(source), Buffer.alloc(16)]);
    const at = 14;
    const ipv4 = frame[at]! >> 4 === 4;
    frame[at + (ipv4 ? 9 : 6)] = 6;
    frame[at + (ipv4 ? 20 : 40) + 12] = 0x50;
    if (ipv4) frame.writeUInt16BE(length - at, at + 2);
    else frame.writeUInt16BE(length - at - 40, at + 4);
    assert.equal(verdictOn(name, frame), 'drop', 'longer than it is: malformed');
    const whole = wholeFrame(frame.subarray(0, 96), length, TEST_RUN_MAX_BYTES);
    assert.equal(whole.length, TEST_RUN_MAX_BYTES);
    assert.equal(verdictOn(name, whole), 'pass');
  }
  const short = frameFrom('198.51.100.1');
  assert.deepEqual(wholeFrame(short.subarray(0, 40), short.length, 3500).length, short.length);
});
