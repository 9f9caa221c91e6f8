import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatInstant } from './instant';
import { pathText } from './issues';
import { DEFAULT_FILTER, type FilterSpec } from './node';
import { userForm, validateNode } from './schema';

const withFilter = (filter: object) => ({
  apiVersion: 'aether.dev/v1',
  kind: 'Node',
  metadata: { name: 'fra-1', region: 'eu' },
  spec: { filters: [{ interface: 'uplink0', mode: 'native', ...filter }] },
});

const valid = (filter: object): FilterSpec => {
  const result = validateNode(withFilter(filter));
  assert.ok(result.ok, JSON.stringify(result));
  const [first] = result.resource.spec.filters;
  assert.ok(first);
  return first;
};

/** `path code` of each issue, from the filter on. */
const faults = (filter: object): string[] => {
  const result = validateNode(withFilter(filter));
  if (result.ok) return [];
  return result.issues.map(
    ({ path, code }) => `${pathText(path).replace('spec.filters[0].', '')} ${code}`,
  );
};

const rule = (fields: object) => ({ rules: { entries: [{ name: 'r', ...fields }] } });
const ofRule = (...found: string[]): string[] => found.map((fault) => `rules.entries[0]${fault}`);

describe('a filter', () => {
  test('gets what it leaves out', () => {
    assert.deepEqual(valid({}), { interface: 'uplink0', mode: 'native', ...DEFAULT_FILTER });
  });

  test('is taken as its user says it', () => {
    const filter = valid({
      failsafe: ['192.0.2.1', '2001:DB8:0::/32'],
      allow: {
        entries: [
          '198.51.100.7',
          { prefix: '203.0.113.0/24', reason: 'probes', expires: '2026-12-01T01:00:00+01:00' },
        ],
      },
      rules: {
        mode: 'count',
        entries: [
          { name: 'ntp', protocol: 'udp', sourcePort: 123, length: '468-65535' },
          { name: 'syn', protocol: 6, tcpFlags: 'syn, !ack', mode: 'count', destination: '::/0' },
          { name: 'parts', fragment: true },
        ],
      },
      rateLimit: { packetsPerSecond: 1000 },
      malformed: 'pass',
      latency: { oneFlowIn: 8 },
    });
    assert.deepEqual(filter.failsafe, ['192.0.2.1/32', '2001:db8::/32']);
    assert.deepEqual(filter.allow.entries, [
      { prefix: '198.51.100.7/32', reason: '', expiresAtMs: null },
      { prefix: '203.0.113.0/24', reason: 'probes', expiresAtMs: 1_796_083_200_000 },
    ]);
    const [ntp, syn, parts] = filter.rules.entries;
    assert.deepEqual([ntp?.protocol, ntp?.sourcePort], [17, { min: 123, max: 123 }]);
    assert.deepEqual(ntp?.length, { min: 468, max: 65_535 });
    assert.deepEqual([syn?.tcpFlags, syn?.destination], [{ mask: 18, value: 2 }, '::/0']);
    assert.deepEqual([parts?.fragment, parts?.protocol, parts?.mode], [true, null, 'enforce']);
    assert.deepEqual(filter.rateLimit, { mode: 'enforce', packetsPerSecond: 1000, burst: 1000 });
  });

  test('in IPv4-mapped IPv6 means IPv4', () => {
    assert.deepEqual(valid({ failsafe: ['::ffff:192.0.2.0/120'] }).failsafe, ['192.0.2.0/24']);
  });
});

describe('each fault of a filter has its place and its word', () => {
  const cases: [string, object, string[]][] = [
    ['failsafe', { failsafe: ['x'] }, ['failsafe[0] malformed']],
    ['host bits', { failsafe: ['192.0.2.1/24'] }, ['failsafe[0] hostBits']],
    ['entry', { allow: { entries: [7] } }, ['allow.entries[0] malformed']],
    [
      'inside an entry',
      { allow: { entries: [{ prefix: 'x', expires: 'tomorrow', why: '' }] } },
      [
        'allow.entries[0].prefix malformed',
        'allow.entries[0].expires malformed',
        'allow.entries[0].why unknownField',
      ],
    ],
    [
      'an entry twice, in two forms',
      { allow: { entries: ['192.0.2.1', { prefix: '192.0.2.1/32' }] } },
      ['allow.entries[1].prefix duplicate'],
    ],
    [
      'a day that is none',
      { allow: { entries: [{ prefix: '192.0.2.1', expires: '2026-02-30T00:00:00Z' }] } },
      ['allow.entries[0].expires malformed'],
    ],
    [
      'no zone',
      { allow: { entries: [{ prefix: '192.0.2.1', expires: '2026-02-03T00:00:00' }] } },
      ['allow.entries[0].expires malformed'],
    ],
    ['nothing asked', rule({}), ofRule(' missing')],
    ['port without protocol', rule({ sourcePort: 1 }), ofRule('.sourcePort contradiction')],
    [
      'port of ICMP',
      rule({ protocol: 'icmp', destinationPort: 1 }),
      ofRule('.destinationPort contradiction'),
    ],
    ['flags of UDP', rule({ protocol: 'udp', tcpFlags: 'SYN' }), ofRule('.tcpFlags contradiction')],
    ['unknown flag', rule({ protocol: 'tcp', tcpFlags: 'SIN' }), ofRule('.tcpFlags malformed')],
    ['flag twice', rule({ protocol: 'tcp', tcpFlags: 'SYN,!SYN' }), ofRule('.tcpFlags malformed')],
    ['backwards', rule({ protocol: 'udp', sourcePort: '9-1' }), ofRule('.sourcePort outOfRange')],
    ['beyond', rule({ protocol: 'udp', sourcePort: '1-65536' }), ofRule('.sourcePort malformed')],
    ['protocol', rule({ protocol: 'sctp' }), ofRule('.protocol malformed')],
    ['fragment', rule({ fragment: false }), ofRule('.fragment malformed')],
    [
      'fragment with ports',
      rule({ protocol: 'udp', sourcePort: 1, fragment: true }),
      ofRule('.fragment contradiction'),
    ],
    ['destination', rule({ destination: '192.0.2.1/24' }), ofRule('.destination hostBits')],
    [
      'rule twice',
      {
        rules: {
          entries: [
            { name: 'r', fragment: true },
            { name: 'r', protocol: 1 },
          ],
        },
      },
      ['rules.entries[1].name duplicate'],
    ],
    [
      '65 rules',
      {
        rules: { entries: Array.from({ length: 65 }, (_, i) => ({ name: `r${i}`, protocol: 1 })) },
      },
      ['rules.entries outOfRange'],
    ],
    ['rate', { rateLimit: { packetsPerSecond: 0 } }, ['rateLimit.packetsPerSecond outOfRange']],
    ['no rate', { rateLimit: {} }, ['rateLimit.packetsPerSecond missing']],
    ['latency', { latency: { oneFlowIn: 0 } }, ['latency.oneFlowIn outOfRange']],
  ];
  for (const [name, filter, expected] of cases) {
    test(name, () => assert.deepEqual(faults(filter), expected));
  }
});

// ---- Whatever is valid is written as its user would, and read again as the same ----------------

const range = fc
  .tuple(fc.integer({ min: 0, max: 65_535 }), fc.integer({ min: 0, max: 65_535 }))
  .map(([a, b]) => (a === b ? a : `${Math.min(a, b)}-${Math.max(a, b)}`));
const mode = fc.constantFrom('enforce', 'count');
const expires = fc.integer({ min: 0, max: 4_000_000_000_000 }).map(formatInstant);
const reason = fc.constantFrom('', 'scan', 'a "quoted" one');
const address = fc.ipV4();
const entry = fc.oneof(
  address,
  fc.record(
    { prefix: fc.ipV6().map((v6) => `${v6}/128`), reason, expires },
    { requiredKeys: ['prefix'] },
  ),
);
const shape = fc.record(
  {
    reason,
    expires,
    mode,
    destination: fc.constantFrom('192.0.2.0/24', '2001:DB8::/32'),
    protocol: fc.constantFrom('udp', 'tcp', 6, 17),
    length: range,
  },
  { requiredKeys: ['protocol'] },
);
const ported = fc.tuple(
  shape,
  fc.record({ sourcePort: range, destinationPort: range }, { requiredKeys: [] }),
);
const flags = fc
  .uniqueArray(fc.constantFrom('FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR'), {
    minLength: 1,
  })
  .chain((names) =>
    fc.tuple(...names.map((name) => fc.constantFrom(name, `!${name}`))).map((all) => all.join(',')),
  );
const rules = fc
  .array(
    fc.oneof(
      ported.map(([one, ports]) => ({ ...one, ...ports })),
      fc.record({ protocol: fc.constant('tcp'), tcpFlags: flags }),
      fc.record({ fragment: fc.constant(true) }),
    ),
    { maxLength: 5 },
  )
  .map((all) => all.map((one, i) => ({ name: `r${i}`, ...one })));
const filters = fc.record(
  {
    failsafe: fc.uniqueArray(address, { maxLength: 3 }),
    allow: fc.record({ mode, entries: fc.uniqueArray(entry, { maxLength: 3 }) }),
    rules: fc.record({ mode, entries: rules }),
    rateLimit: fc.record(
      {
        mode,
        packetsPerSecond: fc.integer({ min: 1, max: 1e9 }),
        burst: fc.integer({ min: 1, max: 1e9 }),
      },
      { requiredKeys: ['packetsPerSecond'] },
    ),
    malformed: fc.constantFrom('drop', 'pass'),
    latency: fc.record({ oneFlowIn: fc.integer({ min: 1, max: 1e6 }) }),
  },
  { requiredKeys: [] },
);

test('the user form is the inverse of validation', () => {
  fc.assert(
    fc.property(filters, (filter) => {
      const first = validateNode(withFilter(filter));
      fc.pre(first.ok);
      const written = userForm(first.resource);
      const again = validateNode(written);
      assert.ok(again.ok, JSON.stringify(again));
      assert.deepEqual(again.resource, first.resource);
      assert.deepEqual(userForm(again.resource), written);
    }),
    { numRuns: 500 },
  );
});
