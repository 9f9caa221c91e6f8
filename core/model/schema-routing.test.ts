/** BGP and BFD of a Node: what its users write, what is kept of it, and what is told to be wrong. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pathText } from './issues';
import { API_VERSION, type NodeSpec } from './node';
import { userForm, validateNode } from './schema';
import { exampleNamespace } from './testing';
import { parseEdgeSpec, parseNodeValue, valueText } from './values';
import { EXAMPLE } from '../plan/testing';

const document = (spec: object): object => ({
  apiVersion: API_VERSION,
  kind: 'Node',
  metadata: { name: 'fra-1', region: 'eu-central' },
  spec: { namespaces: [exampleNamespace()], ...spec },
});

const ROUTER = { address: '198.19.0.1', asn: 65000 };
const bgp = (over: object = {}, ...neighbors: object[]): object => ({
  bgp: { asn: 64512, routerId: '198.19.0.2', neighbors, ...over },
});

const valid = (spec: object): NodeSpec => {
  const result = validateNode(document(spec));
  assert.ok(result.ok, JSON.stringify(result));
  return result.resource.spec;
};

/** `place: message` of each issue. */
const wrong = (spec: object): string[] => {
  const result = validateNode(document(spec));
  assert.ok(!result.ok, 'nothing is wrong with it');
  for (const { expected } of result.issues) assert.notEqual(expected, '');
  return result.issues.map(({ path, code }) => `${pathText(path)} ${code}`);
};

describe('a node that speaks BGP', () => {
  test('says little: the rest has defaults', () => {
    const { bgp: found, bfdPeers } = valid(bgp({}, { ...ROUTER, bfd: {} }));
    assert.deepEqual(found, {
      asn: 64512,
      routerId: '198.19.0.2',
      listenPort: 179,
      importPrefixes: [],
      installRoutes: false,
      neighbors: [
        {
          address: '198.19.0.1',
          asn: 65000,
          passwordRef: null,
          ttlSecurity: false,
          multihop: null,
          holdTimeMs: 9_000,
          maxPrefixes: 1_000,
          bfd: { intervalMs: 300, multiplier: 3, holdDownMs: 1_000 },
        },
      ],
    });
    assert.deepEqual(bfdPeers, []);
    assert.equal(valid(bgp({ listenPort: null })).bgp?.listenPort, null, 'it dials only');
    assert.equal(valid({}).bgp, null);
  });

  test('is written back as its user would', () => {
    const full = {
      ...bgp(
        { importPrefixes: ['0.0.0.0/0', '2001:db8::/32'], installRoutes: true, listenPort: null },
        {
          address: '2001:DB8:0::1',
          asn: 4_200_000_000,
          passwordRef: 'upstream-1',
          multihop: 3,
          holdTime: '1m30s',
          maxPrefixes: 10,
          bfd: { interval: '50ms', multiplier: 5, holdDown: '0s' },
        },
        { ...ROUTER, ttlSecurity: true },
      ),
      bfdPeers: [
        { address: '192.0.2.9', interval: '10ms' },
        { address: '192.0.2.8', multihop: false },
        { address: '192.0.2.7', local: '192.0.2.1', mode: 'seamless' },
        { address: '2001:db8::7', local: '2001:DB8::1', mode: 'seamless', outOfService: true },
      ],
      filters: [{ interface: 'uplink0', mode: 'native' }],
    };
    const first = validateNode(document(full));
    assert.ok(first.ok, JSON.stringify(first));
    const { resource } = first;
    assert.equal(resource.spec.bgp?.neighbors[0]?.address, '2001:db8::1');
    assert.deepEqual(
      resource.spec.bfdPeers.map(({ multihop }) => multihop),
      [true, false, true, true],
    );
    const { local, mode, outOfService } = resource.spec.bfdPeers[3] ?? {};
    assert.deepEqual([local, mode, outOfService], ['2001:db8::1', 'seamless', true]);
    assert.deepEqual(validateNode(userForm(resource)), first);
    const value = { resource, deletionRevision: null };
    assert.deepEqual(parseNodeValue(valueText(value)), { ok: true, value });
  });

  test('each field says what would be right', () => {
    const fields: [object, string[]][] = [
      [bgp({ asn: 0 }), ['spec.bgp.asn outOfRange']],
      [bgp({ asn: 23_456 }), ['spec.bgp.asn malformed']],
      [bgp({ asn: '64512' }), ['spec.bgp.asn wrongType']],
      [bgp({ routerId: '0.0.0.0' }), ['spec.bgp.routerId malformed']],
      [bgp({ routerId: '2001:db8::1' }), ['spec.bgp.routerId malformed']],
      [bgp({ listenPort: 0 }), ['spec.bgp.listenPort outOfRange']],
      [bgp({ import: [] }), ['spec.bgp.import unknownField']],
      [bgp({}, { asn: 65000 }), ['spec.bgp.neighbors[0].address missing']],
      [bgp({}, { ...ROUTER, address: '224.0.0.5' }), ['spec.bgp.neighbors[0].address malformed']],
      [
        bgp({}, { ...ROUTER, passwordRef: '../shadow' }),
        ['spec.bgp.neighbors[0].passwordRef malformed'],
      ],
      [bgp({}, { ...ROUTER, holdTime: '2s' }), ['spec.bgp.neighbors[0].holdTime malformed']],
      [bgp({}, { ...ROUTER, holdTime: '9500ms' }), ['spec.bgp.neighbors[0].holdTime malformed']],
      [bgp({}, { ...ROUTER, multihop: 1 }), ['spec.bgp.neighbors[0].multihop outOfRange']],
      [
        bgp({}, { ...ROUTER, bfd: { interval: '9ms' } }),
        ['spec.bgp.neighbors[0].bfd.interval malformed'],
      ],
      [{ bfdPeers: [{ multihop: true }] }, ['spec.bfdPeers[0].address missing']],
      [{ bfdPeers: [{ address: '192.0.2.9', mode: 'echo' }] }, ['spec.bfdPeers[0].mode malformed']],
    ];
    for (const [spec, expected] of fields) assert.deepEqual(wrong(spec), expected);
  });

  test('what spans fields is told where it is', () => {
    const neighbor = (over: object): object => bgp({}, { ...ROUTER, ...over });
    const spans: [object, string[]][] = [
      [bgp({}, ROUTER, { ...ROUTER, asn: 65001 }), ['spec.bgp.neighbors[1].address duplicate']],
      [
        neighbor({ ttlSecurity: true, multihop: 2 }),
        ['spec.bgp.neighbors[0].multihop contradiction'],
      ],
      [neighbor({ asn: 64512 }), ['spec.bgp.neighbors[0].asn contradiction']],
      [neighbor({ address: 'fe80::1' }), ['spec.bgp.neighbors[0].address unusable']],
      [neighbor({ address: '10.10.1.1' }), ['spec.bgp.neighbors[0].address contradiction']],
      [
        neighbor({ holdTime: '3s', bfd: { interval: '1s' } }),
        ['spec.bgp.neighbors[0].bfd contradiction'],
      ],
      [bgp({ importPrefixes: ['10.0.0.1/8'] }), ['spec.bgp.importPrefixes[0] hostBits']],
      [bgp({ installRoutes: true }), ['spec.bgp.installRoutes contradiction']],
      [
        { bfdPeers: [{ address: '192.0.2.1' }, { address: '192.0.2.1', multihop: false }] },
        ['spec.bfdPeers[1].address duplicate'],
      ],
      [
        { ...neighbor({ bfd: {} }), bfdPeers: [{ address: ROUTER.address }] },
        ['spec.bfdPeers[0].address duplicate'],
      ],
    ];
    const filters = [{ interface: 'uplink0', mode: 'native' }];
    const seamless = { address: '192.0.2.9', mode: 'seamless', local: '192.0.2.1' };
    spans.push(
      [{ bfdPeers: [seamless] }, ['spec.bfdPeers[0].mode contradiction']],
      [
        { filters, bfdPeers: [{ address: '192.0.2.9', mode: 'seamless' }] },
        ['spec.bfdPeers[0].mode contradiction'],
      ],
      [
        { filters, bfdPeers: [{ ...seamless, local: '2001:db8::1' }] },
        ['spec.bfdPeers[0].local contradiction'],
      ],
      [
        { filters, bfdPeers: [{ ...seamless, mode: 'asynchronous', outOfService: true }] },
        ['spec.bfdPeers[0].outOfService contradiction'],
      ],
    );
    for (const [spec, expected] of spans) assert.deepEqual(wrong(spec), expected);
    assert.ok(valid({ ...neighbor({}), bfdPeers: [{ address: ROUTER.address }] }), 'watched apart');
  });
});

test('specs and values of a version that knew no BGP are read as if they had none', () => {
  const { bgp: _bgp, bfdPeers: _peers, services: _services, ...before } = EXAMPLE;
  assert.deepEqual(parseEdgeSpec(JSON.stringify(before)), { ok: true, value: EXAMPLE });
  const result = validateNode(document({}));
  assert.ok(result.ok);
  const { bgp: _none, bfdPeers: _nobody, ...spec } = result.resource.spec;
  const text = JSON.stringify({ resource: { ...result.resource, spec }, deletionRevision: null });
  const read = parseNodeValue(text);
  assert.ok(read.ok && read.value.resource.spec.bgp === null);
});
