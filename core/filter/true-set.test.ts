import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parsePrefix } from '../model/prefix';
import { EMPTY, prefixSet } from './algebra';
import { Editor4 } from './edit4';
import { buildImage4, has4 } from './image4';
import { has6 } from './image6';
import { type Address, bytesOf, edges, holds, hosts, layer, show, text } from './testing';
import { type SetChange, TrueSet } from './true-set';
import type { Image } from './types';

const SEED = 0x5eed;

function agrees(set: TrueSet, texts: readonly string[], addresses: readonly Address[]): void {
  for (const address of addresses)
    assert.equal(set.has(bytesOf(address)), holds(texts, address), show(address));
}

const setOf = (lists: readonly string[][], overlay: readonly string[] = []): TrueSet =>
  new TrueSet(lists.map(prefixSet), prefixSet(overlay), SEED);

describe('a set', () => {
  test('holds the union of its lists and its overlay', () => {
    fc.assert(
      fc.property(fc.array(layer, { maxLength: 3 }), layer, (lists, overlay) => {
        const all = [...lists.flat(), ...overlay];
        agrees(setOf(lists, overlay), all, edges(all));
      }),
      { numRuns: 300 },
    );
  });

  for (const [what, texts] of Object.entries({
    'nothing at all': [],
    'all of IPv4': ['0.0.0.0/0'],
    'all of IPv6': ['::/0'],
    'the unspecified addresses': ['0.0.0.0/32', '::/128'],
    'the last addresses': ['255.255.255.255/32', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128'],
    'each length once': Array.from({ length: 33 }, (_, length) =>
      text({ family: 4, bits: BigInt(length) << 26n, length }),
    ),
    'each length of IPv6 once': Array.from({ length: 129 }, (_, length) =>
      text({ family: 6, bits: BigInt(length) << 120n, length }),
    ),
    'each host of a /24 but one': hosts(256, 0x0a000000n).filter((one) => one !== '10.0.0.77/32'),
    'each host of a /24': hosts(256, 0x0a000000n),
    'each fourth /24 of a /19': hosts(8, 0x0a000000n, 4n << 8n, 24),
    'more /24s than a word holds': hosts(5, 0x0a000000n, 1n << 8n, 24),
    'seven and eight hosts in neighbours': [...hosts(7, 0x0a000000n), ...hosts(8, 0x0a000100n)],
    'a /19 of both halves': ['10.0.0.0/20', '10.0.16.0/20'],
    'one in another in another': ['10.0.0.0/8', '10.1.0.0/16', '10.1.2.0/24', '10.1.2.3/32'],
    'one in another of IPv6': ['::/0', '2001:db8::/32', '2001:db8::/64', '2001:db8::1/128'],
  })) {
    test(`of ${what} holds that`, () => {
      agrees(setOf([texts]), texts, edges(texts));
      agrees(setOf([], texts), texts, edges(texts));
      const emptied = setOf([], texts);
      emptied.setOverlay(EMPTY, 0);
      agrees(emptied, [], edges(texts));
    });
  }

  test('of 20,000 IPv6 prefixes, each bucket full of others', () => {
    const texts = hosts(20_000, 0x2001_0db8n << 96n, 0x1_0000_0001n, 128, 6);
    const set = setOf([texts]);
    const missing = hosts(20_000, 0x2001_0db9n << 96n, 0x1_0000_0001n, 128, 6);
    for (const one of texts) assert.ok(set.has(bytesOf(parsePrefix(one)!)), one);
    for (const one of missing) assert.ok(!set.has(bytesOf(parsePrefix(one)!)), one);
  });

  test('needs no array for a family that it has nothing of', () => {
    const set = setOf([['10.0.0.0/8']]);
    assert.ok(set.image4);
    assert.equal(set.image6, null);
    const { v4, v6 } = set.setOverlay(prefixSet(['2001:db8::/32']), 0);
    assert.equal(v4, null);
    assert.equal(v6?.kind, 'image');
  });
});

/** What the kernel has: a copy that knows the changes only. */
class Copy {
  words: Uint32Array | null;
  constructor(image: Image | null) {
    this.words = image?.words.slice() ?? null;
  }

  /** Stores one word after another; `each` looks in between. */
  apply(change: SetChange | null, each: () => void): void {
    if (change?.kind === 'image') this.words = change.image.words.slice();
    const writes = change?.kind === 'writes' ? change.writes : [];
    // Of the thousands of stores that a /8 takes, some.
    const every = Math.ceil(writes.length / 200);
    for (const [i, { word, low, high }] of writes.entries()) {
      assert.ok(this.words && word * 2 < this.words.length, `word ${word} is behind the end`);
      this.words[word * 2] = low;
      this.words[word * 2 + 1] = high;
      if (i % every === 0) each();
    }
  }
}

const noChange = { v4: null, v6: null };

describe('an edit', () => {
  test('holds what a new set would hold, in whatever order one came there', () => {
    const steps = fc.array(fc.tuple(layer, fc.nat(1500)), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.array(layer, { maxLength: 2 }), steps, (lists, overlays) => {
        const set = setOf(lists);
        let nowMs = 0;
        for (const [overlay, laterMs] of overlays) {
          set.setOverlay(prefixSet(overlay), (nowMs += laterMs));
          const everything = [...lists.flat(), ...overlays.flatMap(([one]) => one)];
          agrees(set, [...lists.flat(), ...overlay], edges(everything));
        }
      }),
      { numRuns: 200 },
    );
  });

  test('is right at each moment: each address is looked up as before or as after', () => {
    const steps = fc.array(fc.tuple(layer, fc.nat(1500)), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(layer, steps, (list, overlays) => {
        const set = setOf([list]);
        const copies = [new Copy(set.image4), new Copy(set.image6)] as const;
        const seen = viewOf(copies);
        const addresses = edges([...list, ...overlays.flatMap(([one]) => one)]);
        let [before, nowMs] = [list, 0];
        for (const [overlay, laterMs] of overlays) {
          const after = [...list, ...overlay];
          const changes = set.setOverlay(prefixSet(overlay), (nowMs += laterMs));
          const steady = addresses.filter((one) => holds(before, one) === holds(after, one));
          const were = steady.map((one) => holds(before, one));
          const look = (): void =>
            steady.forEach((one, i) => assert.equal(seen(one), were[i], show(one)));
          copies[0].apply(changes.v4, look);
          copies[1].apply(changes.v6, look);
          for (const address of addresses)
            assert.equal(seen(address), holds(after, address), show(address));
          before = after;
        }
      }),
      { numRuns: 100 },
    );
  });

  test('of one prefix is a few stores, of a /8 its 2048 words', () => {
    const set = setOf([hosts(5000, 0x0a000000n, 777n)]);
    const count = (texts: string[]): number => {
      const { v4 } = set.setOverlay(prefixSet(texts), 0);
      assert.equal(v4?.kind, 'writes');
      return v4.writes.length;
    };
    assert.ok(count(['10.0.0.1/32']) < 40);
    assert.ok(count(['203.0.113.9/32', '10.0.0.1/32']) <= 2);
    assert.ok(count(['203.0.113.9/32', '10.0.0.1/32', '77.0.0.0/8']) <= 2 * 2048);
  });

  test('that takes a prefix from hand does not take it from the list', () => {
    const set = setOf([['10.1.0.0/16', '2001:db8::/32']]);
    set.setOverlay(prefixSet(['10.1.0.0/16', '10.0.0.0/8', '2001:db8::/32']), 0);
    set.setOverlay(EMPTY, 1);
    agrees(
      set,
      ['10.1.0.0/16', '2001:db8::/32'],
      edges(['10.0.0.0/8', '10.1.0.0/16', '2001:db8::/32']),
    );
  });

  test('that changes nothing is none', () => {
    const set = setOf([['10.0.0.0/8']], ['2001:db8::/32']);
    assert.deepEqual(set.setOverlay(prefixSet(['2001:db8::/32']), 0), noChange);
  });

  test('of words that came from elsewhere writes over nothing that is in use', () => {
    // The last row ends with bits of no host: words of zeros that are in use all the same.
    const list = prefixSet(hosts(20, 0x0a000000n)).v4;
    const { words, used } = buildImage4([list]);
    const added = prefixSet(hosts(20, 0x0b0000e0n)).v4;
    const editor = new Editor4({ words, used: used - 3 });
    assert.ok(editor.rewrite(0x0b000000 >>> 13, [list, added], 0, []));
    for (let host = 0; host < 256; host++) {
      assert.equal(has4(words, 0x0a000000 + host), host < 20);
      assert.equal(has4(words, 0x0b000000 + host), host >= 0xe0 && host < 0xe0 + 20);
    }
  });

  test('finds a place beside a bucket that is full', () => {
    const set = setOf([]);
    const texts: string[] = [];
    // In a table with room for 192: most buckets are full before that.
    for (const one of hosts(130, 0x2001_0db8n << 96n, 0x1234_5678_9abcn << 64n, 64, 6)) {
      texts.push(one);
      set.setOverlay(prefixSet(texts), 0);
    }
    agrees(set, texts, edges(texts));
  });

  test('may come and go as often as it likes', () => {
    const set = setOf([hosts(2000, 0x0a000000n, 3n), hosts(2000, 0x2001_0db8n << 96n, 1n, 128, 6)]);
    const one = prefixSet(['203.0.113.9/32', '2001:db8:ffff::/48']);
    for (let i = 0; i < 500; i++) {
      const { v4, v6 } = set.setOverlay(i % 2 === 0 ? one : EMPTY, i);
      assert.deepEqual([v4?.kind, v6?.kind], ['writes', 'writes']);
    }
  });

  test('goes on when there is no room left: a new image takes the place of the former', () => {
    const set = setOf([]);
    let images = 0;
    // Each time another size, so that no row that was left fits.
    for (let i = 0; i < 3000 && images < 2; i++) {
      const overlay = hosts(5 + (i % 500), 0x0a000000n, 3n);
      const { v4 } = set.setOverlay(prefixSet(overlay), i);
      if (v4?.kind === 'image') images++;
      if (i % 100 === 0) agrees(set, overlay, edges(overlay.slice(-3)));
    }
    assert.equal(images, 2);
  });

  test('writes again where it wrote before, but not at once', () => {
    const set = setOf([hosts(10, 0x0a000000n)]);
    const wordsOf = (texts: string[], nowMs: number): number[] => {
      const { v4 } = set.setOverlay(prefixSet(texts), nowMs);
      assert.equal(v4?.kind, 'writes');
      return v4.writes.map(({ word }) => word);
    };
    const first = wordsOf(['10.0.0.20/32'], 0);
    const second = wordsOf(['10.0.0.21/32'], 1);
    assert.ok(second.slice(0, -2).every((word) => !first.slice(0, -2).includes(word)));
    const third = wordsOf(['10.0.0.22/32'], 1500);
    const old = new Set([...first, ...second]);
    assert.ok(third.some((word) => old.has(word)) || third[0]! < first[0]!);
  });
});

const looksUp = (words: Uint32Array, { family, bits }: Address): boolean =>
  family === 4
    ? has4(words, Number(bits))
    : has6(
        words,
        Uint32Array.from([96n, 64n, 32n, 0n], (shift) => Number((bits >> shift) & 0xffffffffn)),
      );

function viewOf([four, six]: readonly [Copy, Copy]): (address: Address) => boolean {
  return (address) => {
    const words = (address.family === 4 ? four : six).words;
    return words !== null && looksUp(words, address);
  };
}
