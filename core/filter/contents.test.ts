import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EdgeBlocklist } from '../model/edge-spec';
import { plainFilter, type PrefixEntry } from '../model/node';
import { DEFAULT_BFD, normaliseBgp, userBgp } from '../model/schema-routing';
import {
  contentsHash,
  contentsOf,
  counts,
  nextExpiryMs,
  type FilterPart,
  type Override,
} from './contents';
import { chooseLists, listsOf } from './lists';

const entry = (prefix: string, expiresAtMs: number | null = null): PrefixEntry => ({
  prefix,
  reason: 'a reason',
  expiresAtMs,
});

const override = (
  prefix: string,
  verdict: Override['verdict'],
  untilMs: number | null = null,
): Override => ({ prefix, verdict, reason: 'by hand', sinceMs: 0, untilMs });

const list = (name: string, version = 'a', mode: EdgeBlocklist['mode'] = 'enforce') => ({
  name,
  mode,
  blob: { sha256: version.repeat(64), count: 3, chunks: [] },
});

const spec = (change: Partial<FilterPart> = {}): FilterPart => ({
  filters: [plainFilter('uplink0')],
  blocklists: [],
  blocks: [],
  bgp: null,
  bfdPeers: [],
  services: [],
  ...change,
});

const only = (...args: Parameters<typeof contentsOf>) => {
  const [first, ...others] = contentsOf(...args);
  assert.ok(first && others.length === 0);
  return first;
};

test('blocks of the spec and by hand are one sorted set; what has expired is not in it', () => {
  const block = (prefix: string, untilMs: number | null) => ({ prefix, reason: '', untilMs });
  const wanted = spec({
    blocks: [block('203.0.113.0/24', null), block('192.0.2.1/32', 100), block('10.0.0.0/8', 99)],
  });
  const byHand = [
    override('192.0.2.1/32', 'block'),
    override('2001:db8::/32', 'block', 101),
    override('198.51.100.1/32', 'block', 100),
  ];
  const { blocks } = only(wanted, byHand, [], 99);
  assert.deepEqual(blocks, ['192.0.2.1/32', '198.51.100.1/32', '2001:db8::/32', '203.0.113.0/24']);
  assert.deepEqual(only(wanted, byHand, [], 100).blocks, [
    '192.0.2.1/32',
    '2001:db8::/32',
    '203.0.113.0/24',
  ]);
});

test("the agent's failsafe joins each filter's own", () => {
  const filters = [{ ...plainFilter('a'), failsafe: ['192.0.2.9/32'] }, plainFilter('b')];
  const contents = contentsOf(spec({ filters }), [], ['198.51.100.7/32', '192.0.2.9/32'], 0);
  assert.deepEqual(
    contents.map((filter) => [filter.interface, filter.failsafe]),
    [
      ['a', ['192.0.2.9/32', '198.51.100.7/32']],
      ['b', ['192.0.2.9/32', '198.51.100.7/32']],
    ],
  );
});

test('whoever speaks BGP or BFD with the node is failsafe in each of its filters', () => {
  const bgp = normaliseBgp(
    userBgp.parse({
      asn: 64512,
      routerId: '198.19.0.2',
      neighbors: [{ address: '198.19.0.1', asn: 65000 }],
    }),
  );
  const peer = { address: '2001:db8::9', multihop: true, ...DEFAULT_BFD };
  const filters = [plainFilter('a'), plainFilter('b')];
  for (const { failsafe } of contentsOf(spec({ filters, bgp, bfdPeers: [peer] }), [], [], 0)) {
    assert.deepEqual(failsafe, ['198.19.0.1/32', '2001:db8::9/128']);
  }
});

test('what is allowed by hand is spared even where allowed sources only count', () => {
  const filter = (mode: 'enforce' | 'count') => ({
    ...plainFilter('uplink0'),
    allow: { mode, entries: [entry('192.0.2.0/24'), entry('10.0.0.0/8', 5)] },
  });
  const byHand = [override('198.51.100.1/32', 'allow', 50)];
  const enforced = only(spec({ filters: [filter('enforce')] }), byHand, [], 5);
  assert.deepEqual(enforced.allow.prefixes, ['192.0.2.0/24', '198.51.100.1/32']);
  assert.deepEqual(enforced.failsafe, []);
  const counted = only(spec({ filters: [filter('count')] }), byHand, [], 4);
  assert.deepEqual(counted.allow.prefixes, ['10.0.0.0/8', '192.0.2.0/24']);
  assert.deepEqual(counted.failsafe, ['198.51.100.1/32']);
  assert.deepEqual(only(spec({ filters: [filter('count')] }), byHand, [], 50).failsafe, []);
});

test('equal contents have equal hashes, in whatever order the lists came', () => {
  const lists = [list('b'), list('a', 'c', 'count'), list('c', 'd')];
  const hash = (blocklists: EdgeBlocklist[]) => contentsHash(only(spec({ blocklists }), [], [], 0));
  assert.equal(hash(lists), hash([...lists].reverse()));
  assert.notEqual(hash(lists), hash([list('b'), list('a', 'c'), list('c', 'd')]));
  const { lists: ordered } = only(spec({ blocklists: lists }), [], [], 0);
  assert.deepEqual(
    ordered.map(({ mode, name }) => `${mode} ${name}`),
    ['count a', 'enforce b', 'enforce c'],
  );
});

test('no expiry is missed, and between two of them nothing changes', () => {
  const end = fc.option(fc.integer({ min: 1, max: 30 }), { nil: null });
  const prefix = fc.integer({ min: 0, max: 9 }).map((n) => `192.0.2.${n}/32`);
  const arbitrary = fc.record({
    blocks: fc.array(fc.record({ prefix, untilMs: end, reason: fc.constant('') })),
    allowed: fc.array(fc.record({ prefix, expiresAtMs: end, reason: fc.constant('') })),
    byHand: fc.array(fc.tuple(prefix, fc.constantFrom('block' as const, 'allow' as const), end)),
  });
  fc.assert(
    fc.property(arbitrary, ({ blocks, allowed, byHand }) => {
      const filter = plainFilter('uplink0');
      const filters = [{ ...filter, allow: { mode: 'enforce' as const, entries: allowed } }];
      const wanted = spec({ filters, blocks });
      const overrides = byHand.map((args) => override(...args));
      let since = contentsHash(only(wanted, overrides, [], 0));
      let next = nextExpiryMs(wanted, overrides, 0);
      for (let now = 1; now <= 31; now += 1) {
        const hash = contentsHash(only(wanted, overrides, [], now));
        if (now < next) assert.equal(hash, since);
        else next = nextExpiryMs(wanted, overrides, now);
        since = hash;
      }
      assert.equal(next, Infinity);
    }),
  );
});

test('an end in the past never counts, none always does', () => {
  assert.deepEqual([counts(null, 5), counts(6, 5), counts(5, 5)], [true, true, false]);
});

test('a list whose new version is not here goes on as it was, in the mode that is wanted now', () => {
  const held = [list('a', 'a', 'count'), list('gone')];
  const wanted = [list('a', 'b'), list('new', 'c'), list('here', 'd')];
  const isWhole = (sha256: string) => sha256.startsWith('d');
  assert.deepEqual(chooseLists(wanted, held, isWhole), {
    use: [list('a', 'a'), list('here', 'd')],
    waiting: [
      { name: 'a', held: true },
      { name: 'new', held: false },
    ],
  });
});

test('a list that is loaded is named, even where its chunks are lost', () => {
  const choice = chooseLists([list('a')], [list('a')], () => false);
  assert.deepEqual(choice, { use: [list('a')], waiting: [] });
});

test('where nothing filters no list is wanted', () => {
  assert.deepEqual(listsOf(spec({ filters: [], blocklists: [list('a')] })), []);
  assert.deepEqual(listsOf(spec({ blocklists: [list('a')] })), [list('a')]);
});

test('whose Seamless BFD is answered follows from the peers that are seamless, each asked at an address of ours', () => {
  const peer = { multihop: true, ...DEFAULT_BFD };
  const { reflect, failsafe } = only(
    spec({
      bfdPeers: [
        { address: '2001:db8::9', local: '2001:db8::1', mode: 'seamless', ...peer },
        { address: '192.0.2.9', local: '192.0.2.1', ...peer },
        {
          address: '192.0.2.8',
          local: '192.0.2.1',
          mode: 'seamless',
          outOfService: true,
          ...peer,
          multihop: false,
        },
      ],
    }),
    [],
    [],
    0,
  );
  assert.deepEqual(
    reflect.map(({ discriminator, ...rest }) => [rest, discriminator !== 0]),
    [
      [{ peer: '192.0.2.8', local: '192.0.2.1', singleHop: true, outOfService: true }, true],
      [{ peer: '2001:db8::9', local: '2001:db8::1', singleHop: false, outOfService: false }, true],
    ],
  );
  assert.ok(failsafe.includes('192.0.2.8/32'));
});
