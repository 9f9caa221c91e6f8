import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CHUNK_BYTES } from '../model/blocklist';
import { EMPTY, normalise, prefixSet, prefixTexts, sizeOf, union } from './algebra';
import { chunk, join, pack, unpack } from './blob';
import type { PrefixSet } from './types';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** `count` hosts that look as if drawn by lot, the same each time. */
function hosts(count: number, start = 1): PrefixSet {
  const addresses = new Uint32Array(count);
  let state = start;
  for (let i = 0; i < count; i++)
    addresses[i] = state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return normalise({ ...EMPTY, v4: { addresses, lengths: new Uint8Array(count).fill(32) } }).set;
}

const set = fc
  .array(
    fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.ipV4().map((text) => `${text}/23`),
    ),
    { maxLength: 40 },
  )
  .map(prefixSet);

test('the packed form is the documented one', () => {
  const packed = pack(prefixSet(['192.0.2.0/24', '2001:db8::/32']));
  assert.equal(
    hex(packed),
    [
      '41655053' + '00000001' + '00000001' + '00000001',
      'c0000200' + '18',
      '20010db8000000000000000000000000' + '20',
    ].join(''),
  );
  assert.equal(pack(EMPTY).length, 16);
});

test('what was packed is unpacked', () => {
  fc.assert(
    fc.property(set, (prefixes) => {
      const unpacked = unpack(pack(prefixes));
      assert.ok(unpacked.ok);
      assert.deepEqual(prefixTexts(unpacked.set), prefixTexts(prefixes));
    }),
  );
});

test('bytes that are no blob are refused by name', () => {
  const good = Buffer.from(pack(prefixSet(['192.0.2.0/24', '192.0.3.0/24', '2001:db8::/32'])));
  const changed = (at: number, bytes: string): Buffer => {
    const copy = Buffer.from(good);
    copy.write(bytes, at, 'hex');
    return copy;
  };
  const table: [Uint8Array, object][] = [
    [new Uint8Array(0), { kind: 'foreign' }],
    [good.subarray(0, 15), { kind: 'foreign' }],
    [Buffer.from('192.0.2.0/24\n192.0.3.0/24\n'), { kind: 'foreign' }],
    [changed(4, '00000002'), { kind: 'version', version: 2, known: 1 }],
    [good.subarray(0, -1), { kind: 'size', bytes: good.length - 1, expected: good.length }],
    [Buffer.concat([good, good]), { kind: 'size', bytes: 2 * good.length, expected: good.length }],
    [
      changed(8, 'ffffffff'),
      { kind: 'size', bytes: good.length, expected: 16 + 0xffffffff * 5 + 17 },
    ],
    [changed(20, '21'), { kind: 'prefix', index: 0, wrong: 'length' }],
    [changed(16, 'c0000201'), { kind: 'prefix', index: 0, wrong: 'hostBits' }],
    [changed(21, 'c0000100'), { kind: 'prefix', index: 1, wrong: 'order' }],
    [changed(21, 'c0000200'), { kind: 'prefix', index: 1, wrong: 'order' }],
    [changed(21, 'c000028019'), { kind: 'prefix', index: 1, wrong: 'covered' }],
    [changed(42, '81'), { kind: 'prefix', index: 2, wrong: 'length' }],
    [changed(41, '01'), { kind: 'prefix', index: 2, wrong: 'hostBits' }],
  ];
  for (const [bytes, error] of table) assert.deepEqual(unpack(bytes), { ok: false, error });
});

test('whatever the bytes, they are refused or are exactly the packed form of a set', () => {
  const header = fc
    .tuple(fc.nat(3), fc.nat(3))
    .map(([count4, count6]) =>
      Buffer.from(
        `4165505300000001${[count4, count6].map((n) => n.toString(16).padStart(8, '0')).join('')}`,
        'hex',
      ),
    );
  const headed = fc
    .tuple(header, fc.uint8Array({ maxLength: 68 }))
    .map((parts) => Buffer.concat(parts));
  const bent = fc.tuple(set, fc.nat(), fc.nat(255)).map(([prefixes, at, value]) => {
    const bytes = pack(prefixes);
    bytes[at % bytes.length] = value;
    return bytes;
  });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), headed, bent), (bytes) => {
      const unpacked = unpack(bytes);
      if (unpacked.ok) assert.equal(hex(pack(unpacked.set)), hex(bytes));
    }),
    { numRuns: 5000 },
  );
});

test('a blob is cut into chunks that make it again', () => {
  for (const prefixes of [EMPTY, hosts(100), hosts(300_000)]) {
    const blob = pack(prefixes);
    const { ref, chunks } = chunk(blob);
    assert.equal(ref.count, sizeOf(prefixes));
    assert.ok(chunks.every(({ length }) => length > 0 && length <= CHUNK_BYTES));
    const stored = new Map(ref.chunks.map(({ sha256 }, i) => [sha256, chunks[i]!]));
    const joined = join(ref, (sha256) => stored.get(sha256) ?? null);
    assert.ok(joined.ok);
    assert.deepEqual(joined.blob, blob);
  }
});

test('no chunk of IPv6 prefixes is over the limit either', () => {
  const count = 100_000;
  const words = new Uint32Array(4 * count);
  for (let i = 0; i < count; i++) words[4 * i + 3] = i << 8;
  const lengths = new Uint8Array(count).fill(128);
  const { ref } = chunk(pack({ ...EMPTY, v6: { words, lengths } }));
  assert.ok(ref.chunks.every(({ bytes }) => bytes <= CHUNK_BYTES));
});

test('one prefix more makes few new chunks', () => {
  const before = hosts(300_000);
  const after = union(before, prefixSet(['0.0.0.7']));
  const had = new Set(chunk(pack(before)).ref.chunks.map(({ sha256 }) => sha256));
  const now = chunk(pack(after)).ref.chunks;
  assert.ok(now.length >= 4, 'large enough to tell');
  assert.ok(now.filter(({ sha256 }) => !had.has(sha256)).length <= 2);
});

test('a missing or damaged chunk is named', () => {
  const { ref, chunks } = chunk(pack(hosts(100_000)));
  const stored = new Map(ref.chunks.map(({ sha256 }, i) => [sha256, chunks[i]!]));
  const victim = ref.chunks[1]!.sha256;
  const bent = Uint8Array.from(stored.get(victim)!);
  bent[100]! ^= 1;
  const short = bent.subarray(1);
  const find = (instead: Uint8Array | null) => (sha256: string) =>
    sha256 === victim ? instead : stored.get(sha256)!;
  assert.deepEqual(join(ref, find(null)), {
    ok: false,
    error: { kind: 'chunkMissing', sha256: victim },
  });
  for (const wrong of [bent, short])
    assert.deepEqual(join(ref, find(wrong)), {
      ok: false,
      error: { kind: 'chunkDamaged', sha256: victim },
    });
  const swapped = { ...ref, chunks: [...ref.chunks].reverse() };
  assert.deepEqual(join(swapped, find(stored.get(victim)!)), {
    ok: false,
    error: { kind: 'blobDamaged', sha256: ref.sha256 },
  });
});
