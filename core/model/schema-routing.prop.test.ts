/** Documents of any shape: an answer with places, never an exception; what is valid is read again as it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { validateCluster } from './cluster';
import { API_VERSION } from './node';
import { type AnyResource, KINDS, userFormOf, validateResource } from './resources';
import { exampleNamespace } from './testing';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const SERVICE: Json = {
  apiVersion: API_VERSION,
  kind: 'AnycastService',
  metadata: { name: 'web' },
  spec: {
    prefixes: ['203.0.113.10/32', '198.51.100.0/24', '2001:db8:a::10/128'],
    addresses: ['198.51.100.53'],
    namespace: 'edge',
    nodes: { tier: 'edge' },
    regions: [
      { name: 'eu-central', weight: 100 },
      { name: 'us-east', weight: 0 },
    ],
    minAnnouncers: 2,
    lastAnnouncer: 'withdraw',
    health: { http: { port: 80, path: '/healthz', status: 200 }, interval: '1s', timeout: '1s' },
    communities: ['65000:100'],
    prepend: 1,
  },
};

const NODE: Json = {
  apiVersion: API_VERSION,
  kind: 'Node',
  metadata: { name: 'fra-1', region: 'eu-central', labels: { tier: 'edge' } },
  spec: {
    namespaces: [exampleNamespace() as unknown as Json],
    bgp: {
      asn: 64512,
      routerId: '10.0.0.1',
      listenPort: null,
      importPrefixes: ['0.0.0.0/0'],
      installRoutes: true,
      neighbors: [
        { address: '192.0.2.1', asn: 65000, passwordRef: 'one', multihop: 2, bfd: {} },
        { address: '2001:db8::1', asn: 65000, ttlSecurity: true, holdTime: '9s', maxPrefixes: 9 },
      ],
    },
    bfdPeers: [
      { address: '192.0.2.9', multihop: false, interval: '10ms', multiplier: 5 },
      { address: '192.0.2.8', local: '192.0.2.2', mode: 'seamless', outOfService: true },
    ],
    filters: [{ interface: 'uplink0', mode: 'native' }],
  },
};

/** Paths of all values in a document. */
const placesOf = (value: Json, path: (string | number)[] = []): (string | number)[][] => {
  if (typeof value !== 'object' || value === null) return [path];
  const below = Object.entries(value).flatMap(([key, inner]) =>
    placesOf(inner, [...path, Array.isArray(value) ? Number(key) : key]),
  );
  return [path, ...below];
};

const replaced = (value: Json, path: readonly (string | number)[], by: Json): Json => {
  const [first, ...rest] = path;
  if (first === undefined) return by;
  const copy = structuredClone(value) as { [key: string]: Json };
  copy[first] = replaced(copy[first] ?? null, rest, by);
  // No document has a list with holes.
  return Array.isArray(copy) ? Array.from(copy as Json[], (one) => one ?? null) : copy;
};

const ODD = [
  '',
  '0.0.0.0/0',
  '::/0',
  '203.0.113.10/32',
  '10.10.1.2',
  'fe80::1',
  '1s',
  '0ms',
  '65535:0',
  'edge',
  '__proto__',
];
const odd: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>(...ODD, 0, -1, 65_535, 4_294_967_295, 1.5, true, null, [], {}),
  fc.jsonValue() as fc.Arbitrary<Json>,
);

/** One of the two with up to three of its values replaced. */
const document: fc.Arbitrary<Json> = fc.constantFrom(SERVICE, NODE).chain((whole) =>
  fc.array(fc.tuple(fc.constantFrom(...placesOf(whole)), odd), { maxLength: 3 }).map((changes) =>
    changes.reduce((value: Json, [path, by]): Json => {
      try {
        return replaced(value, path, by);
      } catch {
        return value; // an earlier change took away what it would have been in
      }
    }, whole),
  ),
);

test('no document makes a check throw, and each issue says where, what, and what would be right', () => {
  fc.assert(
    fc.property(document, (json) => {
      const result = validateResource(json);
      if (result.ok) return;
      assert.ok(result.issues.length > 0);
      for (const { path, message, expected } of result.issues) {
        assert.ok(message !== '' && expected !== '', JSON.stringify(path));
      }
    }),
    { numRuns: 3_000 },
  );
});

test('what is valid is written as its user would, and read again as the same', () => {
  let seen = 0;
  fc.assert(
    fc.property(document, (json) => {
      const result = validateResource(json);
      if (!result.ok) return;
      seen += 1;
      const { resource } = result;
      assert.deepEqual(KINDS[resource.kind].validate(userFormOf(resource)), result);
    }),
    { numRuns: 3_000 },
  );
  assert.ok(seen > 100, `${seen} were valid: this would prove little`);
});

test('no set of valid resources makes the checks of the set throw, and all are placed in it', () => {
  const valid = document.map(validateResource).filter((result) => result.ok);
  const set = fc.array(
    valid.map(({ resource }): AnyResource => resource),
    { maxLength: 4 },
  );
  fc.assert(
    fc.property(set, (resources) => {
      for (const { index, node } of validateCluster(resources)) {
        assert.equal(resources[index]?.metadata.name, node);
      }
    }),
  );
});
