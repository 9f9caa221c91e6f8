/** What holds of every feed: ranges, the same prefixes as a naive reader finds, foreign bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatAddress, parseAddress, parsePrefix } from '../model/prefix';
import { prefixSet, prefixTexts } from './algebra';
import { parseFeed, unreadableLines, type FeedLimits } from './feed';

const PLAIN: FeedLimits = { format: 'plain', column: 1, maxBytes: 1 << 20, maxPrefixes: 100_000 };

function read(text: string) {
  const result = parseFeed(Buffer.from(text), PLAIN);
  assert.ok(result.ok, JSON.stringify(result));
  return { prefixes: prefixTexts(result.set), report: result.report };
}

test('a range holds what lies between its ends, and no prefix too many', () => {
  const end = fc
    .tuple(fc.constantFrom(0n, 0xffn << 24n, 0xfffn << 20n), fc.nat(600))
    .map(([a, b]) => a + BigInt(b));
  fc.assert(
    fc.property(end, end, fc.constantFrom(4 as const, 6 as const), (a, b, family) => {
      const [first, last] = a < b ? [a, b] : [b, a];
      const text = (bits: bigint): string => formatAddress({ family, bits });
      const { prefixes, report } = read(`${text(first)}-${text(last)}`);
      let next = first;
      let before = -1n;
      for (const { bits, length } of prefixes.map((prefix) => parsePrefix(prefix)!)) {
        const size = 1n << BigInt((family === 4 ? 32 : 128) - length);
        assert.equal(bits, next);
        assert.ok(size !== before || (bits / size) % 2n === 0n, 'two halves make one prefix');
        [next, before] = [bits + size, size];
      }
      assert.equal(next, last + 1n);
      assert.equal(report.masked, 0);
    }),
    { numRuns: 1000 },
  );
});

/** Text that is nearly an address, often one. */
const token = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.ipV4().map((text) => `::ffff:${text}`),
  fc.stringMatching(/^[0-9a-f:.]{0,24}$/),
  fc
    .array(fc.constantFrom('::', ':', '.', '0', '1', '255', '256', '00', 'ffff', 'FFFF', '10000'), {
      maxLength: 17,
    })
    .map((parts) => parts.join('')),
  fc
    .array(fc.constantFrom('0', '1', 'ab', '1.2.3.4', ''), { maxLength: 9 })
    .map((parts) => parts.join(':')),
);
const length = fc.oneof(
  fc.nat(140).map((n) => `/${n}`),
  fc.constantFrom('', '', '/', '/032', '/1x', '/-1'),
);
const tail = fc.constantFrom('', '', ' ', '\r', ' # why', ';why', '//why', ' why', ',', '-');
const line = fc.tuple(fc.constantFrom('', ' ', '\t'), token, length, tail).map((p) => p.join(''));

/** The model: a line at a time, by core/model/prefix.ts. */
function naive(text: string): { prefixes: string[]; unreadable: number } {
  const prefixes: string[] = [];
  let unreadable = 0;
  for (const each of text.split('\n')) {
    const bare = each.replace(/(#|;|\/\/).*$/, '').trim();
    if (bare === '') continue;
    if (parseAddress(bare) ?? parsePrefix(bare)) prefixes.push(bare);
    else unreadable++;
  }
  return { prefixes, unreadable };
}

test('each prefix is read, and refused, as a naive reader does it', () => {
  fc.assert(
    fc.property(fc.array(line, { maxLength: 20 }), (lines) => {
      const text = lines.join('\n');
      const { prefixes, report } = read(text);
      const model = naive(text);
      assert.deepEqual(prefixes, prefixTexts(prefixSet(model.prefixes)));
      assert.equal(unreadableLines(report), model.unreadable);
      const { duplicates, covered } = report;
      assert.equal(report.prefixes + duplicates + covered, model.prefixes.length);
    }),
    { numRuns: 3000 },
  );
});

test('whatever the bytes and the form asked for, there is a set or a refusal, and it is plain JSON', () => {
  const text = fc
    .array(
      fc.oneof(line, fc.constantFrom('{"cidr":"', '"', ',', '\t', '1.2.3.4\t1.2.3.9\t24', ' - ')),
      { maxLength: 20 },
    )
    .chain((parts) =>
      fc.constantFrom('', '\n', ',', '"').map((glue) => Buffer.from(parts.join(glue))),
    );
  const limits = fc.record({
    format: fc.constantFrom('auto' as const, 'plain' as const, 'csv' as const),
    column: fc.integer({ min: 1, max: 4 }),
    maxBytes: fc.constant(1000),
    maxPrefixes: fc.constantFrom(0, 1, 1000),
  });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), text), limits, (bytes, asked) => {
      const result = parseFeed(bytes, asked);
      if (!result.ok) {
        assert.deepEqual(JSON.parse(JSON.stringify(result.refusal)), result.refusal);
        return;
      }
      const { set, report } = result;
      assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
      assert.equal(prefixTexts(set).length, report.prefixes);
      assert.deepEqual(prefixTexts(prefixSet(prefixTexts(set))), prefixTexts(set));
    }),
    { numRuns: 5000 },
  );
});
