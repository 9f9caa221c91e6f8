import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY, prefixSet, prefixTexts } from './algebra';
import { parseFeed } from './feed';
import { disbeliefText, judgeFeed, type Refreshed } from './feed-policy';

const LIMITS = { format: 'auto', column: 1, maxBytes: 100_000, maxPrefixes: 1000 } as const;
const FAILSAFE = prefixSet(['192.0.2.10/32', '10.0.0.0/8', '2001:db8:ffff::/48']);

/** `count` addresses of 198.51.100.0/22 from the `start`th on, two apart so that none make a whole. */
const addresses = (count: number, start = 0): string[] =>
  Array.from({ length: count }, (_, i) => 2 * (start + i)).map(
    (i) => `198.51.${100 + (i >> 8)}.${i & 255}`,
  );

const refreshed = (feed: string | Uint8Array, lastGood: string[] | null): Refreshed => ({
  lastGood: lastGood && prefixSet(lastGood),
  fetched: parseFeed(Buffer.from(feed), LIMITS),
  maxShrinkPercent: 30,
  failsafe: FAILSAFE,
});

const feed = (...lines: string[]): string => lines.map((line) => `${line}\n`).join('');

test('a feed that is like the last one is believed, and says what it changes', () => {
  const verdict = judgeFeed(
    refreshed(feed(...addresses(90, 10), '203.0.113.0/24'), addresses(100)),
  );
  assert.ok(verdict.believed);
  assert.deepEqual([verdict.added, verdict.removed], [1, 10]);
  assert.equal(verdict.report.prefixes, 91);
});

test('the first version has nothing to be held against', () => {
  const verdict = judgeFeed(refreshed(feed('203.0.113.0/24'), null));
  assert.ok(verdict.believed);
  assert.deepEqual(prefixTexts(verdict.set), ['203.0.113.0/24']);
  assert.deepEqual([verdict.added, verdict.removed], [1, 0]);
  assert.ok(judgeFeed(refreshed(feed('203.0.113.0/24'), [])).believed);
});

test('a list that is only written in other prefixes has not shrunk', () => {
  const hosts = Array.from({ length: 256 }, (_, i) => `203.0.113.${i}`);
  const verdict = judgeFeed(refreshed(feed('203.0.113.0/24'), hosts));
  assert.ok(verdict.believed && verdict.removed === 0 && verdict.added === 0);
});

const last = addresses(100);
const NOT_BELIEVED: Record<string, { given: Refreshed; kind: string; text: string }> = {
  'could not be fetched': {
    given: { ...refreshed('', last), fetched: { ok: false, failed: 'HTTP 503 from example.org' } },
    kind: 'failed',
    text: 'HTTP 503 from example.org',
  },
  'is compressed': {
    given: refreshed(Buffer.from('1f8b0800', 'hex'), last),
    kind: 'refused',
    text: 'it is no text: byte 31 in line 1, at offset 0',
  },
  'is too large': {
    given: refreshed(feed(...addresses(1001)), last),
    kind: 'refused',
    text: 'it has 1001 prefixes or more, maxPrefixes is 1000',
  },
  'has too many bytes': {
    given: refreshed('#'.repeat(100_001), last),
    kind: 'refused',
    text: 'it has 100001 bytes, maxBytes is 100000',
  },
  'was cut off': {
    given: refreshed(`${feed(...last)}198.51.`, last),
    kind: 'truncated',
    text: 'it ends in the middle of line 101',
  },
  'is an error page': {
    given: refreshed(feed('<html>', '<b>Not here</b>', '</html>'), last),
    kind: 'unreadable',
    text: "3 of 3 lines hold no prefix: line 1 '<html>', line 2 '<b>Not here</b>', line 3 '</html>'",
  },
  'is empty': { given: refreshed('# soon\n', last), kind: 'empty', text: 'it holds no prefix' },
  'was empty before, too': {
    given: refreshed('', null),
    kind: 'empty',
    text: 'it holds no prefix',
  },
  'would block all': {
    given: refreshed(feed(...last, '0.0.0.0/0', '::/0'), last),
    kind: 'tooWide',
    text: 'it would block 0.0.0.0/0, ::/0: shorter than /8 (IPv4) or /16 (IPv6)',
  },
  'would block much of all': {
    given: refreshed(feed(...last, '64.0.0.0/7', '2000::/15', '65.0.0.0/8', '2002::/16'), last),
    kind: 'tooWide',
    text: 'it would block 64.0.0.0/7, 2000::/15: shorter than /8 (IPv4) or /16 (IPv6)',
  },
  'contains the failsafe': {
    given: refreshed(feed(...last, '192.0.2.0/24', '10.1.2.3', '2001:db8::/32'), last),
    kind: 'failsafe',
    text: 'it would block what is failsafe: 10.1.2.3/32 meets 10.0.0.0/8, 192.0.2.0/24 meets 192.0.2.10/32, 2001:db8::/32 meets 2001:db8:ffff::/48',
  },
  shrinks: {
    given: refreshed(feed(...addresses(69)), last),
    kind: 'shrinks',
    text: '31 of 100 prefixes would go, maxShrinkPercent is 30',
  },
};

for (const [name, { given, kind, text }] of Object.entries(NOT_BELIEVED))
  test(`a feed is not believed that ${name}`, () => {
    const verdict = judgeFeed(given);
    assert.ok(!verdict.believed);
    assert.equal(verdict.why.kind, kind);
    assert.equal(disbeliefText(verdict.why), text);
    assert.deepEqual(JSON.parse(JSON.stringify(verdict.why)), verdict.why);
  });

test('the limits themselves are allowed', () => {
  const one = (lines: string[], lastGood: string[] | null) =>
    judgeFeed(refreshed(feed(...lines), lastGood)).believed;
  assert.ok(one(addresses(70), last), '30 % gone');
  assert.ok(one([...addresses(9), 'what'], null), '10 % not read');
  assert.ok(!one([...addresses(8), 'what'], null));
  assert.ok(one(['64.0.0.0/8', '2002::/16'], null));
  assert.ok(judgeFeed({ ...refreshed(feed('10.0.0.1'), null), failsafe: EMPTY }).believed);
});

test('short prefixes are believed where no source can be: lists of bogons hold them', () => {
  const bogons = ['0.0.0.0/8', '224.0.0.0/3', '::/8', '4000::/3', 'ff00::/8'];
  assert.ok(judgeFeed({ ...refreshed(feed(...bogons), null), failsafe: EMPTY }).believed);
  const halfOfAll = judgeFeed({ ...refreshed(feed('128.0.0.0/1'), null), failsafe: EMPTY });
  assert.ok(!halfOfAll.believed && halfOfAll.why.kind === 'tooWide');
});

test('with maxShrinkPercent 0 nothing may go, with 100 all may', () => {
  const given = refreshed(feed(...addresses(99)), last);
  assert.ok(!judgeFeed({ ...given, maxShrinkPercent: 0 }).believed);
  const other = refreshed(feed('203.0.113.7'), last);
  assert.ok(judgeFeed({ ...other, maxShrinkPercent: 100 }).believed);
});
