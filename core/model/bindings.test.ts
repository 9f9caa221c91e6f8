import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { EXAMPLE } from '../plan/testing';
import type { BlobRef, BlockValue } from './blocklist';
import { type Bindings, compileEdgeSpec, NO_BINDINGS, type Stored } from './compile';
import { specHash } from './hash';
import { API_VERSION, NO_ROUTING } from './node';
import { selectorId, selects } from './selector';
import {
  type BlocklistValue,
  parseBlocklistValue,
  parseBlockValue,
  parseEdgeSpec,
  parseFeedValue,
  valueText,
} from './values';

const LABELS = { tier: 'edge', region: 'eu' };

const blob = (digit: string): BlobRef => ({
  sha256: digit.repeat(64),
  count: 2,
  chunks: [{ sha256: digit.repeat(64), bytes: 9 }],
});

const blocklist = (
  name: string,
  nodes: Record<string, string>,
  over: Partial<BlocklistValue['resource']['spec']> = {},
): BlocklistValue => ({
  resource: {
    apiVersion: API_VERSION,
    kind: 'Blocklist',
    metadata: { name, labels: {} },
    spec: { nodes, mode: 'enforce', entries: [], feed: null, ...over },
  },
  blob: blob('a'),
});

const block = (prefix: string, over: Partial<BlockValue> = {}): BlockValue => ({
  prefix,
  reason: 'r',
  by: 'me',
  atMs: 1,
  untilMs: null,
  nodes: null,
  ...over,
});

const at = <T>(revision: number, value: T): Stored<T> => ({ value, revision });

const compile = (over: Partial<Bindings>, phase: 'active' | 'decommissioning' = 'active') => {
  const { namespaces, filters, repair } = EXAMPLE;
  return compileEdgeSpec({
    node: at(10, {
      resource: {
        apiVersion: API_VERSION,
        kind: 'Node',
        metadata: { name: 'fra-1', region: 'eu', labels: LABELS },
        spec: { namespaces, filters, ...NO_ROUTING, repair },
      },
      deletionRevision: null,
    }),
    phase: at(20, { phase }),
    override: null,
    freeze: null,
    routing: null,
    ...NO_BINDINGS,
    ...over,
  });
};

describe('what is bound to a node by its labels', () => {
  test('is in its spec, and raises its revision; what is of others does neither', () => {
    const spec = compile({
      blocklists: [
        at(30, blocklist('b', { tier: 'edge' })),
        at(31, blocklist('a', LABELS, { mode: 'count' })),
        at(99, blocklist('c', { tier: 'core' })),
      ],
      blocks: [
        at(40, block('192.0.2.0/24', { nodes: { region: 'eu' } })),
        at(98, block('198.51.100.0/24', { nodes: { region: 'us' } })),
      ],
    });
    assert.deepEqual(spec.blocklists, [
      { name: 'a', mode: 'count', blob: blob('a') },
      { name: 'b', mode: 'enforce', blob: blob('a') },
    ]);
    assert.deepEqual(spec.blocks, [{ prefix: '192.0.2.0/24', reason: 'r', untilMs: null }]);
    assert.equal(spec.revision, 40);
    assert.deepEqual(parseEdgeSpec(JSON.stringify(spec)), { ok: true, value: spec });
  });

  test('entries of a list that end go to the edge as blocks; that which ends last counts', () => {
    const entries = [
      { prefix: '192.0.2.1/32', reason: 'of the list', expiresAtMs: 500 },
      { prefix: '192.0.2.2/32', reason: '', expiresAtMs: null },
    ];
    const spec = compile({
      blocklists: [at(30, blocklist('a', LABELS, { entries }))],
      blocks: [at(40, block('192.0.2.1/32', { untilMs: 400 }))],
    });
    assert.deepEqual(spec.blocks, [
      { prefix: '192.0.2.1/32', reason: 'of the list', untilMs: 500 },
    ]);
  });

  test('a list that blocks nothing yet is not there; a node that leaves has none', () => {
    const empty = { ...blocklist('a', LABELS), blob: null };
    assert.deepEqual(compile({ blocklists: [at(30, empty)] }).blocklists, []);
    const full: Partial<Bindings> = {
      blocklists: [at(30, blocklist('a', LABELS))],
      blocks: [at(31, block('192.0.2.0/24'))],
    };
    const leaving = compile(full, 'decommissioning');
    assert.deepEqual([leaving.blocklists, leaving.blocks], [[], []]);
  });

  test('the hash does not depend on the order in which keys are read, nor on revisions', () => {
    const blocks = ['192.0.2.1/32', '192.0.2.2/32', '2001:db8::/32'].map((prefix, i) =>
      at(50 + i, block(prefix)),
    );
    const lists = ['a', 'b', 'c'].map((name, i) => at(30 + i, blocklist(name, LABELS)));
    const hash = specHash(compile({ blocks, blocklists: lists }));
    fc.assert(
      fc.property(
        fc.shuffledSubarray(blocks, { minLength: 3 }),
        fc.shuffledSubarray(lists, { minLength: 3 }),
        fc.nat(),
        (shuffled, others, more) => {
          const moved = shuffled.map(({ value, revision }) => at(revision + more, value));
          assert.equal(specHash(compile({ blocks: moved, blocklists: others })), hash);
        },
      ),
    );
  });

  test('the revision never falls when something is let go', () => {
    const bound = compile({ blocks: [at(40, block('192.0.2.0/24'))] });
    const gone = compile({ unbound: [at(41, { nodes: null })] });
    assert.ok(gone.revision > bound.revision);
    const others = compile({ unbound: [at(41, { nodes: { tier: 'core' } })] });
    assert.equal(others.revision, 20);
  });
});

test('a selector asks for all of its labels, and is named whatever their order', () => {
  assert.ok(selects({ tier: 'edge' }, LABELS));
  assert.ok(selects(null, {}));
  assert.ok(!selects({ tier: 'edge', zone: 'a' }, LABELS));
  assert.ok(!selects({ constructor: 'x' }, LABELS));
  assert.equal(selectorId({ a: '1', b: '2' }), selectorId({ b: '2', a: '1' }));
  assert.notEqual(selectorId({ a: '1' }), selectorId(null));
});

test('their values are read back as they were written', () => {
  const list = blocklist('a', LABELS, {
    entries: [{ prefix: '192.0.2.0/24', reason: 'r', expiresAtMs: 5 }],
  });
  assert.deepEqual(parseBlocklistValue(valueText(list)), { ok: true, value: list });
  const everywhere = valueText(blocklist('a', {}));
  assert.equal(parseBlocklistValue(everywhere).ok, false, 'also by hand nothing blocks everywhere');
  const one = block('192.0.2.0/24', { nodes: LABELS, untilMs: 7 });
  assert.deepEqual(parseBlockValue(valueText(one)), { ok: true, value: one });
  const feed = {
    url: 'https://example.net/list',
    list: blob('b'),
    etag: '"x"',
    lastGoodAtMs: 1,
    lastTryAtMs: 2,
    problem: null,
    notes: ['3 lines were no prefix'],
  };
  assert.deepEqual(parseFeedValue(valueText(feed)), { ok: true, value: feed });
});
