import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { BlocklistResource } from './blocklist';
import { validateCluster } from './cluster';
import { pathText } from './issues';
import { validateNode } from './schema';
import { blocklistJsonSchema, blocklistUserForm, validateBlocklist } from './schema-blocklist';
import { validateResource } from './resources';

const list = (spec: object, name = 'bad') => ({
  apiVersion: 'aether.dev/v1',
  kind: 'Blocklist',
  metadata: { name },
  spec: { nodes: { tier: 'edge' }, ...spec },
});

const valid = (document: unknown): BlocklistResource => {
  const result = validateBlocklist(document);
  assert.ok(result.ok, JSON.stringify(result));
  return result.resource;
};

const issues = (document: unknown) => {
  const result = validateBlocklist(document);
  return result.ok ? [] : result.issues;
};
const faults = (spec: object): string[] =>
  issues(list(spec)).map(({ path, code }) => `${pathText(path)} ${code}`);

describe('a blocklist', () => {
  test('gets what it leaves out', () => {
    assert.deepEqual(valid(list({})).spec, {
      nodes: { tier: 'edge' },
      mode: 'enforce',
      entries: [],
      feed: null,
    });
    assert.deepEqual(valid(list({ feed: { url: 'https://example.net/x' } })).spec.feed, {
      url: 'https://example.net/x',
      format: 'auto',
      column: 1,
      refreshMs: 3_600_000,
      maxBytes: 64 * 1024 * 1024,
      maxPrefixes: 1_000_000,
      maxShrinkPercent: 50,
    });
  });

  test('without a selector is refused with the reason', () => {
    const [issue] = issues(list({ nodes: {} }));
    assert.equal(pathText(issue?.path ?? []), 'spec.nodes');
    assert.match(issue?.expected ?? '', /an empty selector would block on every node/);
  });

  const cases: [string, object, string[]][] = [
    ['no selector', { nodes: undefined }, ['spec.nodes missing']],
    ['every address', { entries: ['0.0.0.0/0'] }, ['spec.entries[0] contradiction']],
    [
      'every IPv6 address',
      { entries: [{ prefix: '::/0' }] },
      ['spec.entries[0].prefix contradiction'],
    ],
    ['host bits', { entries: ['192.0.2.1/24'] }, ['spec.entries[0] hostBits']],
    ['twice', { entries: ['192.0.2.1', '192.0.2.1/32'] }, ['spec.entries[1] duplicate']],
    [
      'an end where nothing is dropped',
      { mode: 'count', entries: [{ prefix: '192.0.2.1', expires: '2026-12-01T00:00:00Z' }] },
      ['spec.entries[0].expires contradiction'],
    ],
    ['scheme', { feed: { url: 'ftp://x/y' } }, ['spec.feed.url malformed']],
    ['size', { feed: { url: 'file:///x', maxBytes: '64MB' } }, ['spec.feed.maxBytes malformed']],
    ['refresh', { feed: { url: 'file:///x', refresh: '10s' } }, ['spec.feed.refresh malformed']],
    ['column', { feed: { url: 'file:///x', column: 0 } }, ['spec.feed.column outOfRange']],
  ];
  for (const [name, spec, expected] of cases) {
    test(`refuses: ${name}`, () => assert.deepEqual(faults(spec), expected));
  }

  test('of more than a thousand entries belongs into a feed', () => {
    const entries = Array.from({ length: 1001 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
    const [issue] = issues(list({ entries }));
    assert.match(issue?.expected ?? '', /more belong into a feed/);
  });

  test('is written as its user would, and read again as the same', () => {
    const feed = fc.record(
      {
        url: fc.constantFrom('https://example.net/a?b=c', 'file:///srv/list.csv'),
        format: fc.constantFrom('auto', 'plain', 'csv'),
        column: fc.integer({ min: 1, max: 100 }),
        refresh: fc.constantFrom('1m', '90m', '1h30m', '30d'),
        maxBytes: fc.constantFrom('1B', '512KiB', '1536KiB', '1GiB'),
        maxPrefixes: fc.integer({ min: 1, max: 1e7 }),
        maxShrinkPercent: fc.integer({ min: 0, max: 100 }),
      },
      { requiredKeys: ['url'] },
    );
    const entries = fc.uniqueArray(
      fc.oneof(
        fc.ipV4().filter((text) => text !== '0.0.0.0'),
        fc.record({ prefix: fc.ipV6(), reason: fc.constantFrom('', 'scan') }),
      ),
      { maxLength: 4 },
    );
    const mode = fc.constantFrom('enforce', 'count');
    fc.assert(
      fc.property(fc.record({ mode, entries, feed }, { requiredKeys: [] }), (spec) => {
        const first = validateBlocklist(list(spec));
        fc.pre(first.ok);
        const written = blocklistUserForm(first.resource);
        assert.deepEqual(valid(written), first.resource);
        assert.deepEqual(blocklistUserForm(valid(written)), written);
      }),
    );
  });

  test('has a JSON Schema of what users write', () => {
    const text = JSON.stringify(blocklistJsonSchema());
    for (const word of [
      'maxShrinkPercent',
      '"const":"Blocklist"',
      'refresh',
      '"minProperties":1',
    ]) {
      assert.ok(text.includes(word), word);
    }
    assert.ok(!text.includes('refreshMs'));
  });
});

describe('together with nodes', () => {
  const node = (name: string, tier: string, failsafe: string[]) => {
    const result = validateNode({
      apiVersion: 'aether.dev/v1',
      kind: 'Node',
      metadata: { name, region: 'eu', labels: { tier } },
      spec: { filters: [{ interface: 'uplink0', mode: 'native', failsafe }] },
    });
    assert.ok(result.ok);
    return result.resource;
  };
  const told = (resources: Parameters<typeof validateCluster>[0]) =>
    validateCluster(resources).map(({ index, path, code }) => [index, pathText(path), code]);

  test('a list must not block what is failsafe on a node of its own', () => {
    const blocking = valid(list({ entries: ['192.0.2.0/24', '198.51.100.0/24'] }));
    const edge = node('fra-1', 'edge', ['10.0.0.0/8', '198.51.100.7/32']);
    const other = node('fra-2', 'core', ['192.0.2.1/32']);
    assert.deepEqual(told([edge, other, blocking]), [[2, 'spec.entries[1]', 'failsafe']]);
    assert.deepEqual(told([blocking, other, edge]), [
      [2, 'spec.filters[0].failsafe[1]', 'failsafe'],
    ]);
    const [issue] = validateCluster([edge, blocking]);
    assert.match(issue?.message ?? '', /198\.51\.100\.7\/32, which is failsafe on node "fra-1"/);
  });

  test('a node and a list may have one name, two lists may not', () => {
    const one = valid(list({}, 'x'));
    assert.deepEqual(told([node('x', 'edge', []), one]), []);
    assert.deepEqual(told([one, one]), [[1, 'metadata.name', 'duplicate']]);
  });
});

test('a kind that there is not is named with those that there are', () => {
  for (const document of [{ kind: 'Blocklists' }, {}, null, 7]) {
    const result = validateResource(document);
    assert.ok(!result.ok);
    assert.equal(result.issues[0]?.expected, 'Node, Blocklist or AnycastService');
  }
  assert.ok(validateResource(list({})).ok);
});
