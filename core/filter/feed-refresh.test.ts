import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DEFAULT_FEED } from '../model/schema-blocklist';
import { utf8 } from '../model/hash';
import { prefixTexts } from './algebra';
import { join, unpack } from './blob';
import { type FeedTask, type Pieces, refreshFeed } from './feed-refresh';

const task = (text: string, over: Partial<FeedTask> = {}): FeedTask => ({
  bytes: utf8(text),
  feed: DEFAULT_FEED,
  lastGood: null,
  inline: [],
  failsafe: [],
  ...over,
});

function blobOf({ ref, chunks }: Pieces): Uint8Array {
  const joined = join(ref, (sha256) => {
    const i = ref.chunks.findIndex((chunk) => chunk.sha256 === sha256);
    return chunks[i] ?? null;
  });
  assert.ok(joined.ok);
  return joined.blob;
}

function prefixesOf(pieces: Pieces): string[] {
  const unpacked = unpack(blobOf(pieces));
  assert.ok(unpacked.ok);
  return prefixTexts(unpacked.set);
}

describe('a refresh', () => {
  test('keeps the feed alone, and what the list is with its own entries', () => {
    const result = refreshFeed(
      task('192.0.2.1\nx\n192.0.2.1\n', { inline: ['198.51.100.0/24'], feed: DEFAULT_FEED }),
    );
    assert.equal(result.believed, false, 'one of three lines is nonsense');
    const good = refreshFeed(task('192.0.2.1\n192.0.2.1\n', { inline: ['198.51.100.0/24'] }));
    assert.ok(good.believed);
    assert.deepEqual(prefixesOf(good.list), ['192.0.2.1/32']);
    assert.deepEqual(prefixesOf(good.whole), ['192.0.2.1/32', '198.51.100.0/24']);
    assert.deepEqual([good.added, good.notes], [1, ['prefixes there more than once: 1']]);
  });

  test('is held against the list before it; one that can no longer be read is none', () => {
    const before = refreshFeed(task('192.0.2.1\n192.0.2.2\n192.0.2.3\n'));
    assert.ok(before.believed);
    const lastGood = blobOf(before.list);
    const shrunk = refreshFeed(task('192.0.2.1\n', { lastGood }));
    assert.ok(!shrunk.believed);
    assert.match(shrunk.problem, /2 of 3 prefixes would go/);
    assert.ok(refreshFeed(task('192.0.2.1\n', { lastGood: lastGood.subarray(1) })).believed);
  });

  test('says what is wrong, and what is odd', () => {
    const failsafe = ['192.0.2.0/28'];
    const met = refreshFeed(task('192.0.2.1\n', { failsafe }));
    assert.ok(!met.believed);
    assert.match(met.problem, /192\.0\.2\.1\/32 meets 192\.0\.2\.0\/28/);
    const lines = Array.from({ length: 20 }, (_, i) => `198.51.100.${i}\n`).join('');
    const odd = refreshFeed(task(`${lines}nonsense\n192.0.2.9/24\n`));
    assert.ok(odd.believed);
    assert.deepEqual(odd.notes, [
      'lines without a prefix: 1',
      'prefixes with bits set behind their length, cleared: 1',
      "among them line 21 'nonsense'",
    ]);
  });
});
