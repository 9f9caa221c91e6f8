/** AnycastService: what its users write, what is kept of it, and what is told to be wrong. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AnycastServiceResource } from './anycast';
import { validateCluster } from './cluster';
import { serviceNotes } from './cluster-services';
import { pathText } from './issues';
import { API_VERSION, type NodeResource } from './node';
import { type AnyResource, validateResource } from './resources';
import { anycastUserForm, parseCommunity, validateAnycast } from './schema-anycast';
import { exampleNamespace } from './testing';
import { parseServiceValue, valueText } from './values';

const document = (spec: object, name = 'web'): object => ({
  apiVersion: API_VERSION,
  kind: 'AnycastService',
  metadata: { name },
  spec: { prefixes: ['203.0.113.10/32'], namespace: 'edge', nodes: { tier: 'edge' }, ...spec },
});

const valid = (spec: object, name?: string): AnycastServiceResource => {
  const result = validateAnycast(document(spec, name));
  assert.ok(result.ok, JSON.stringify(result));
  return result.resource;
};

const wrong = (spec: object): string[] => {
  const result = validateAnycast(document(spec));
  assert.ok(!result.ok, 'nothing is wrong with it');
  for (const { expected } of result.issues) assert.notEqual(expected, '');
  return result.issues.map(({ path, code }) => `${pathText(path)} ${code}`);
};

describe('a service', () => {
  test('says little: the rest has defaults', () => {
    assert.deepEqual(valid({ prefixes: ['203.0.113.10/32', '2001:DB8:0::a/128'] }).spec, {
      prefixes: ['203.0.113.10/32', '2001:db8::a/128'],
      addresses: ['203.0.113.10', '2001:db8::a'],
      namespace: 'edge',
      nodes: { tier: 'edge' },
      regions: [],
      minAnnouncers: 1,
      lastAnnouncer: 'deprefer',
      health: null,
      communities: [],
      prepend: 0,
    });
  });

  test('is written back as its user would, whatever it asks for its health', () => {
    const probes: object[] = [
      { tcp: { port: 443 } },
      { http: { port: 80 } },
      { http: { port: 80, path: '/healthz', status: 204 } },
      { dns: { name: 'health.example.net.' } },
      { command: ['/bin/check', '--quick'] },
    ];
    for (const probe of probes) {
      const first = valid({
        prefixes: ['198.51.100.0/24', '203.0.113.10/32'],
        addresses: ['198.51.100.53'],
        regions: [
          { name: 'eu-central', weight: 100 },
          { name: 'us-east', weight: 0 },
        ],
        minAnnouncers: 2,
        lastAnnouncer: 'withdraw',
        health: { ...probe, interval: '1s', failures: 1 },
        communities: ['65000:0100'],
        prepend: 2,
      });
      assert.deepEqual(first.spec.addresses, ['203.0.113.10', '198.51.100.53']);
      assert.deepEqual(first.spec.communities, ['65000:100']);
      assert.equal(first.spec.health?.timeoutMs, 400);
      const again = validateAnycast(anycastUserForm(first));
      assert.deepEqual(again, { ok: true, resource: first });
      const value = { resource: first };
      assert.deepEqual(parseServiceValue(valueText(value)), { ok: true, value });
    }
  });

  test('each field says what would be right', () => {
    const fields: [object, string[]][] = [
      [{ prefixes: [] }, ['spec.prefixes outOfRange']],
      [{ prefixes: ['203.0.113.10'] }, ['spec.prefixes[0] malformed']],
      [{ nodes: {} }, ['spec.nodes malformed']],
      [{ nodes: undefined }, ['spec.nodes missing']],
      [{ namespace: 'Edge' }, ['spec.namespace malformed']],
      [{ minAnnouncers: -1 }, ['spec.minAnnouncers outOfRange']],
      [{ lastAnnouncer: 'stay' }, ['spec.lastAnnouncer malformed']],
      [{ communities: ['65536:1'] }, ['spec.communities[0] malformed']],
      [{ prepend: 11 }, ['spec.prepend outOfRange']],
      [{ regions: [{ weight: 1 }] }, ['spec.regions[0].name missing']],
      [{ health: { http: { port: 80, path: 'healthz' } } }, ['spec.health.http.path malformed']],
      [{ health: { tcp: {} } }, ['spec.health.tcp.port missing']],
      [{ health: { tcp: { port: 1 }, interval: '10ms' } }, ['spec.health.interval malformed']],
      [{ health: { command: [] } }, ['spec.health.command outOfRange']],
      [{ health: { dns: { name: 'a..b' } } }, ['spec.health.dns.name malformed']],
      [{ weights: [] }, ['spec.weights unknownField']],
    ];
    for (const [spec, expected] of fields) assert.deepEqual(wrong(spec), expected);
  });

  test('what spans fields is told where it is', () => {
    const spans: [object, string[]][] = [
      [{ prefixes: ['203.0.0.0/23'], addresses: ['203.0.0.1'] }, ['spec.prefixes[0] outOfRange']],
      [
        { prefixes: ['2001:db8::/47'], addresses: ['2001:db8::1'] },
        ['spec.prefixes[0] outOfRange'],
      ],
      [{ prefixes: ['203.0.113.1/24'], addresses: ['203.0.113.1'] }, ['spec.prefixes[0] hostBits']],
      [{ prefixes: ['224.1.1.1/32'] }, ['spec.prefixes[0] unusable']],
      [{ prefixes: ['203.0.113.0/24'] }, ['spec.prefixes[0] contradiction']],
      [{ prefixes: ['203.0.113.1/32', '203.0.113.1/32'] }, ['spec.prefixes[1] duplicate']],
      [{ addresses: ['203.0.113.11'] }, ['spec.addresses[0] outside']],
      [{ addresses: ['2001:db8::1'] }, ['spec.addresses[0] outside']],
      [
        {
          regions: [
            { name: 'a', weight: 1 },
            { name: 'a', weight: 2 },
          ],
        },
        ['spec.regions[1].name duplicate'],
      ],
      [{ regions: [{ name: 'a', weight: 0 }] }, ['spec.regions contradiction']],
      [{ communities: ['65535:0'] }, ['spec.communities[0] contradiction']],
      [{ health: {} }, ['spec.health missing']],
      [{ health: { tcp: { port: 1 }, command: ['x'] } }, ['spec.health.command contradiction']],
      [
        { health: { tcp: { port: 1 }, interval: '100ms', timeout: '101ms' } },
        ['spec.health.timeout outOfRange'],
      ],
    ];
    for (const [spec, expected] of spans) assert.deepEqual(wrong(spec), expected);
    assert.ok(valid({ prefixes: ['203.0.113.0/24', '203.0.113.1/32'] }), 'a /32 of it is served');
  });

  test('by hand nothing is announced from everywhere either', () => {
    const resource = valid({});
    const everywhere = { resource: { ...resource, spec: { ...resource.spec, nodes: {} } } };
    assert.equal(parseServiceValue(valueText(everywhere)).ok, false);
  });

  test('a community is a number on the wire', () => {
    assert.equal(parseCommunity('65000:100'), 65_000 * 65_536 + 100);
    for (const text of ['1', ':1', '1:', '1:70000', '-1:0'])
      assert.equal(parseCommunity(text), null);
  });
});

const node = (name: string, octet: number, over: object = {}): NodeResource => {
  const result = validateResource({
    apiVersion: API_VERSION,
    kind: 'Node',
    metadata: { name, region: 'eu-central', labels: { tier: 'edge' } },
    spec: { namespaces: [exampleNamespace(octet)], ...over },
  });
  assert.ok(result.ok && result.resource.kind === 'Node', JSON.stringify(result));
  return result.resource;
};

/** `resource place code` of each issue. */
const clash = (...resources: AnyResource[]): string[] =>
  validateCluster(resources).map(
    ({ node: name, index, path, code }) => `${index} ${name} ${pathText(path)} ${code}`,
  );

describe('services and nodes together', () => {
  test('the examples of this file get along', () => {
    const other = valid({ prefixes: ['203.0.113.11/32'] }, 'dns');
    assert.deepEqual(clash(node('a', 1), node('b', 2), valid({}), other), []);
  });

  test('a prefix and an address belong to one service, an address to a node or to services', () => {
    const wide = { prefixes: ['203.0.113.0/24'], addresses: ['203.0.113.10'] };
    assert.deepEqual(clash(valid({}), valid({}, 'dns')), ['1 dns spec.prefixes[0] duplicate']);
    assert.deepEqual(clash(valid({}), valid(wide, 'dns')), ['1 dns spec.addresses[0] duplicate']);
    const own = { prefixes: ['10.10.1.0/24'], addresses: ['10.10.1.99'] };
    assert.deepEqual(clash(node('a', 1), valid(own)), ['1 web spec.prefixes[0] overlap']);
    assert.deepEqual(clash(valid(own), node('a', 1)), [
      '1 a spec.namespaces[0].links[0].addresses[0] overlap',
    ]);
  });

  test('each node that is selected has the namespace, and a way to each address', () => {
    const elsewhere = valid({ namespace: 'dns' });
    assert.deepEqual(clash(node('a', 1), elsewhere), ['1 web spec.namespace contradiction']);
    assert.deepEqual(clash(elsewhere, node('a', 1)), ['1 a spec.namespaces contradiction']);
    const v4 = exampleNamespace(1);
    const [link] = v4.links;
    const onlyV4 = {
      ...v4,
      links: [{ ...link, hostAddresses: ['10.10.1.1/30'], addresses: ['10.10.1.2/30'] }],
    };
    const v6 = valid({ prefixes: ['2001:db8:a::1/128'] });
    assert.deepEqual(clash(node('a', 1, { namespaces: [onlyV4] }), v6), [
      '1 web spec.namespace contradiction',
    ]);
    assert.deepEqual(clash(node('a', 1, { namespaces: [onlyV4] }), valid({})), []);
    const others = valid({ namespace: 'dns', nodes: { tier: 'core' } });
    assert.deepEqual(clash(node('a', 1), others), [], 'nodes of others may be as they like');
  });

  test('a router id is of one node', () => {
    const bgp = { bgp: { asn: 64512, routerId: '10.0.0.1' } };
    assert.deepEqual(clash(node('a', 1, bgp), node('b', 2, bgp)), [
      '1 b spec.bgp.routerId duplicate',
    ]);
  });

  test('a list must not block whom a node speaks BGP or BFD with', () => {
    const bgp = { asn: 64512, routerId: '10.0.0.1', neighbors: [{ address: '192.0.2.1', asn: 1 }] };
    const filters = [{ interface: 'uplink0', mode: 'native' }];
    const list = validateResource({
      apiVersion: API_VERSION,
      kind: 'Blocklist',
      metadata: { name: 'bad' },
      spec: { nodes: { tier: 'edge' }, entries: ['192.0.2.0/24'] },
    });
    assert.ok(list.ok);
    assert.deepEqual(clash(node('a', 1, { bgp, filters }), list.resource), [
      '1 bad spec.entries[0] failsafe',
    ]);
    assert.deepEqual(clash(list.resource, node('a', 1, { bgp, filters })), [
      '1 a spec.bgp.neighbors[0].address failsafe',
    ]);
  });

  test('what may be a slip is noted and allowed', () => {
    const regions = [{ name: 'eu-central' }, { name: 'us-east' }];
    const few = valid({ minAnnouncers: 2, regions });
    assert.deepEqual(clash(node('a', 1), few), []);
    assert.deepEqual(serviceNotes(few, [node('a', 1)]), [
      "1 node is selected: a floor of 2 can't hold",
      'no selected node is in us-east',
      'no BGP neighbor, so nothing is announced: a',
    ]);
    const bgp = { asn: 64512, routerId: '10.0.0.1', neighbors: [{ address: '192.0.2.1', asn: 1 }] };
    assert.deepEqual(serviceNotes(valid({}), [node('a', 1, { bgp })]), []);
  });
});
