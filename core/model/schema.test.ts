import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { validateCluster } from './cluster';
import { pathText } from './issues';
import type { NodeResource } from './node';
import { jsonSchema, userForm, validateNode } from './schema';
import { exampleNamespace } from './testing';

/** The node of the examples, as its user writes it. */
const draft = () => ({
  apiVersion: 'aether.dev/v1',
  kind: 'Node',
  metadata: { name: 'fra-1', region: 'eu-central', labels: { tier: 'edge' } },
  spec: {
    namespaces: [exampleNamespace()],
    filters: [{ interface: 'uplink0', mode: 'native' }],
    repair: { policy: 'auto', budget: { attempts: 5, per: '10m' }, autonomyAfter: '1s' },
  },
});

/** Words of a path; `ns`, `link` and `route` are the first ones, `+` appends, no value deletes. */
type Edit = [path: string, value?: unknown];

const SHORT: Record<string, string> = {
  ns: 'spec namespaces 0',
  link: 'spec namespaces 0 links 0',
  route: 'spec namespaces 0 routes 0',
};

const edited = (...edits: Edit[]): unknown => {
  const node: unknown = draft();
  for (const [path, value] of edits) {
    const words = path.split(' ').flatMap((word) => (SHORT[word] ?? word).split(' '));
    const last = words.pop() ?? '';
    let at = node as Record<string, unknown>;
    for (const word of words) at = at[word] as Record<string, unknown>;
    if (Array.isArray(at) && last === '+') at.push(value);
    else if (value === undefined) delete at[last];
    else at[last] = value;
  }
  return node;
};

const valid = (node: unknown): NodeResource => {
  const result = validateNode(node);
  assert.ok(result.ok, JSON.stringify(result));
  return result.resource;
};

/** `path code` of each issue. */
const faults = (node: unknown): string[] => {
  const result = validateNode(node);
  return result.ok ? [] : result.issues.map(({ path, code }) => `${pathText(path)} ${code}`);
};

describe('a right node', () => {
  test('is taken with its durations in milliseconds', () => {
    const { spec } = valid(draft());
    assert.deepEqual(spec.repair, {
      policy: 'auto',
      budget: { attempts: 5, perMs: 600_000 },
      autonomyAfterMs: 1_000,
    });
  });

  test('gets what it leaves out', () => {
    const { metadata, spec } = valid({
      apiVersion: 'aether.dev/v1',
      kind: 'Node',
      metadata: { name: 'a', region: 'r' },
      spec: { namespaces: [{ name: 'n', links: [{ name: 'l', peer: 'p' }] }] },
    });
    assert.deepEqual(metadata.labels, {});
    assert.deepEqual(spec.filters, []);
    assert.deepEqual(spec.namespaces[0], {
      name: 'n',
      links: [{ name: 'l', peer: 'p', mtu: 1500, hostAddresses: [], addresses: [] }],
      routes: [],
      sysctls: {},
    });
    assert.equal(spec.repair.policy, 'auto');
  });

  test('is put into canonical form', () => {
    const node = edited(
      ['link addresses', ['10.10.1.2/30', 'FD10:1:0::0:2/64']],
      ['ns routes', [{ to: '0::/0', via: 'fd10:1::0001' }]],
    );
    const [namespace] = valid(node).spec.namespaces;
    assert.deepEqual(namespace?.links[0]?.addresses, ['10.10.1.2/30', 'fd10:1::2/64']);
    assert.deepEqual(namespace?.routes, [{ to: '::/0', via: 'fd10:1::1' }]);
  });

  test('is written as its user would, and read again as the same', () => {
    const resource = valid(draft());
    assert.deepEqual(userForm(resource), draft());
    assert.deepEqual(valid(userForm(resource)), resource);
  });
});

describe('each fault has its place and its word', () => {
  const cases: [string, Edit, string[]][] = [
    ['kind', ['kind', 'Nod'], ['kind malformed']],
    ['version', ['apiVersion', 'v1'], ['apiVersion malformed']],
    ['no name', ['metadata name'], ['metadata.name missing']],
    ['name', ['metadata name', 'Fra_1'], ['metadata.name malformed']],
    ['name too long', ['metadata name', 'a'.repeat(64)], ['metadata.name malformed']],
    ['unknown field', ['spec colour', 1], ['spec.colour unknownField']],
    ['namespaces', ['spec namespaces', {}], ['spec.namespaces wrongType']],
    [
      'namespace twice',
      ['spec namespaces +', { name: 'edge' }],
      ['spec.namespaces[1].name duplicate'],
    ],
    [
      'link twice on the host',
      ['spec namespaces +', { name: 'b', links: [{ name: 'edge0', peer: 'eth0' }] }],
      ['spec.namespaces[1].links[0].name duplicate'],
    ],
    [
      'peer twice in its namespace',
      ['ns links +', { name: 'edge1', peer: 'eth0' }],
      ['spec.namespaces[0].links[1].peer duplicate'],
    ],
    ['lo', ['link peer', 'lo'], ['spec.namespaces[0].links[0].peer reserved']],
    ['MTU', ['link mtu', 67], ['spec.namespaces[0].links[0].mtu outOfRange']],
    ['MTU below IPv6', ['link mtu', 1279], ['spec.namespaces[0].links[0].mtu outOfRange']],
    ['MTU as text', ['link mtu', '1500'], ['spec.namespaces[0].links[0].mtu wrongType']],
    [
      'address',
      ['link addresses', ['10.10.1.2']],
      [
        'spec.namespaces[0].links[0].addresses[0] malformed',
        'spec.namespaces[0].routes[0].via gateway',
      ],
    ],
    [
      'prefix as address',
      ['link hostAddresses', ['10.10.1.0/30']],
      ['spec.namespaces[0].links[0].hostAddresses[0] unusable'],
    ],
    [
      'multicast',
      ['link hostAddresses', ['224.0.0.1/4']],
      ['spec.namespaces[0].links[0].hostAddresses[0] unusable'],
    ],
    [
      'one address at both ends',
      ['link hostAddresses', ['10.10.1.2/30']],
      ['spec.namespaces[0].links[0].addresses[0] duplicate'],
    ],
    [
      'one address twice',
      ['link addresses +', '10.10.1.2/29'],
      ['spec.namespaces[0].links[0].addresses[2] duplicate'],
    ],
    [
      'overlap inside',
      ['ns links +', { name: 'e1', peer: 'p1', addresses: ['10.10.0.1/16'] }],
      ['spec.namespaces[0].links[1].addresses[0] overlap'],
    ],
    [
      'overlap on the host, over namespaces',
      [
        'spec namespaces +',
        { name: 'b', links: [{ name: 'b0', peer: 'p', hostAddresses: ['10.10.1.3/24'] }] },
      ],
      ['spec.namespaces[1].links[0].hostAddresses[0] overlap'],
    ],
    ['gateway astray', ['route via', '10.10.1.9'], ['spec.namespaces[0].routes[0].via gateway']],
    [
      'gateway is ourselves',
      ['route via', '10.10.1.2'],
      ['spec.namespaces[0].routes[0].via gateway'],
    ],
    [
      'gateway of the other family',
      ['route via', 'fd10:1::1'],
      ['spec.namespaces[0].routes[0].via family'],
    ],
    [
      'route twice',
      ['ns routes +', { to: '0.0.0.0/0', via: '10.10.1.1' }],
      ['spec.namespaces[0].routes[1].to duplicate'],
    ],
    ['host bits', ['route to', '10.0.0.1/8'], ['spec.namespaces[0].routes[0].to hostBits']],
    [
      'route to a link',
      ['route to', '10.10.1.0/30'],
      ['spec.namespaces[0].routes[0].to contradiction'],
    ],
    [
      'sysctl outside net',
      ['ns sysctls', { 'kernel.panic': '1' }],
      ['spec.namespaces[0].sysctls["kernel.panic"] malformed'],
    ],
    [
      'sysctl path',
      ['ns sysctls', { 'net.ipv4/../../x': '1' }],
      ['spec.namespaces[0].sysctls["net.ipv4/../../x"] malformed'],
    ],
    [
      'sysctl with an empty part',
      ['ns sysctls', { 'net..x': '1' }],
      ['spec.namespaces[0].sysctls["net..x"] malformed'],
    ],
    [
      'sysctl number',
      ['ns sysctls', { 'net.ipv4.ip_forward': 1 }],
      ['spec.namespaces[0].sysctls["net.ipv4.ip_forward"] wrongType'],
    ],
    [
      'IPv6 switched off under its addresses',
      ['ns sysctls', { 'net.ipv6.conf.eth0.disable_ipv6': '1' }],
      ['spec.namespaces[0].sysctls["net.ipv6.conf.eth0.disable_ipv6"] contradiction'],
    ],
    ['filter mode', ['spec filters 0 mode', 'x'], ['spec.filters[0].mode malformed']],
    [
      'filter twice',
      ['spec filters +', { interface: 'uplink0', mode: 'generic' }],
      ['spec.filters[1].interface duplicate'],
    ],
    [
      'filter on our link',
      ['spec filters 0 interface', 'edge0'],
      ['spec.filters[0].interface ownLink'],
    ],
    ['no unit', ['spec repair autonomyAfter', '5'], ['spec.repair.autonomyAfter malformed']],
    ['budget', ['spec repair budget attempts', 0], ['spec.repair.budget.attempts outOfRange']],
    ['window', ['spec repair budget per', '2d'], ['spec.repair.budget.per malformed']],
  ];
  for (const [name, edit, expected] of cases) {
    test(name, () => {
      assert.deepEqual(faults(edited(edit)), expected);
    });
  }

  test('interface names as the kernel takes them', () => {
    const named = (name: unknown): string[] => faults(edited(['link name', name]));
    for (const name of ['a', 'eth0.100', 'x'.repeat(15), 'a@b', 'veth-1']) {
      assert.deepEqual(named(name), [], name);
    }
    for (const name of ['', '.', '..', 'x'.repeat(16), 'a/b', 'a b', 'a:1', 'a\n', 'é', 1]) {
      assert.equal(named(name).length, 1, String(name));
    }
  });

  test('all at once: shapes and what spans fields', () => {
    const node = edited(
      ['metadata name', '-'],
      ['spec colour', 'red'],
      ['ns links +', { name: 'edge0', peer: 'p', mtu: 1, addresses: ['x'] }],
      ['ns routes +', { to: '::/0', via: 'fd99::1' }],
    );
    assert.deepEqual(faults(node), [
      'metadata.name malformed',
      'spec.namespaces[0].links[1].mtu outOfRange',
      'spec.namespaces[0].links[1].addresses[0] malformed',
      'spec.colour unknownField',
      'spec.namespaces[0].links[1].name duplicate',
      'spec.namespaces[0].routes[1].via gateway',
    ]);
  });

  test('every issue says what would be right', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (spec) => {
        const result = validateNode({ ...draft(), spec });
        if (result.ok) return;
        for (const { message, expected } of result.issues) assert.ok(message && expected);
      }),
    );
  });

  test('whatever is given, an answer comes', () => {
    const keys = fc.constantFrom('spec', 'metadata', 'kind');
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), keys, (a, b, key) => {
        validateNode(a);
        validateNode({ ...draft(), [key]: b });
      }),
      { numRuns: 500 },
    );
  });
});

describe('nodes taken together', () => {
  const named = (name: string, address: string, host: string): NodeResource =>
    valid(
      edited(
        ['metadata name', name],
        ['link addresses', [address]],
        ['link hostAddresses', [host]],
        ['ns routes', []],
      ),
    );

  test('an address inside a namespace belongs to one node', () => {
    const nodes = [
      named('a', '10.0.0.2/30', '10.0.0.1/30'),
      named('b', '10.0.0.2/24', '10.0.0.1/24'),
      named('c', 'fe80::2/64', 'fe80::1/64'),
      named('d', 'fe80::2/64', 'fe80::1/64'),
    ];
    const issues = validateCluster(nodes);
    assert.deepEqual(
      issues.map(({ node, index, path }) => [node, index, pathText(path)]),
      [['b', 1, 'spec.namespaces[0].links[0].addresses[0]']],
    );
    assert.match(issues[0]?.message ?? '', /10\.0\.0\.2 belongs to node "a"/);
  });

  test('so does a name', () => {
    const nodes = [
      named('a', '10.0.0.2/30', '10.0.0.1/30'),
      named('a', '10.1.0.2/30', '10.1.0.1/30'),
    ];
    assert.deepEqual(
      validateCluster(nodes).map(({ index, path }) => [index, pathText(path)]),
      [[1, 'metadata.name']],
    );
  });
});

test('the JSON Schema is of what users write', () => {
  const text = JSON.stringify(jsonSchema());
  for (const word of ['autonomyAfter', 'hostAddresses', '"const":"Node"', '"maximum":65535']) {
    assert.ok(text.includes(word), word);
  }
  assert.ok(!text.includes('perMs'));
});
