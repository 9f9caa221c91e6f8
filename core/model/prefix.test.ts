import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  canonicalAddress,
  canonicalPrefix,
  contains,
  formatAddress,
  formatPrefix,
  isHostAddress,
  isLinkLocal,
  isUnicast,
  network,
  overlaps,
  parseAddress,
  parsePrefix,
  type Prefix,
} from './prefix';

const prefix = (text: string): Prefix => {
  const parsed = parsePrefix(text);
  assert.ok(parsed, text);
  return parsed;
};

test('IPv6 is printed as RFC 5952 wants it', () => {
  /** The examples of RFC 5952 §4, and what the kernel prints for mapped addresses. */
  const table: [string, string][] = [
    ['2001:0db8::0001', '2001:db8::1'],
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:DB8::A', '2001:db8::a'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ];
  for (const [text, expected] of table) assert.equal(canonicalAddress(text), expected);
});

test('what is no address is refused', () => {
  const wrong = [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4 ',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    '12345::',
    'g::',
    '1.2.3.4::',
    '::1.2.3',
    'fe80::1%eth0',
  ];
  for (const text of wrong) assert.equal(parseAddress(text), null, text);
  for (const text of ['10.0.0.0', '10.0.0.0/33', '::/129', '10.0.0.0/08', '10.0.0.0/-1', '/8']) {
    assert.equal(parsePrefix(text), null, text);
  }
});

test('any text is read as node reads it, save octets with a leading zero', () => {
  const nearly = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.string({ unit: fc.constantFrom(...'0123456789abcf:.'.split('')), maxLength: 20 }),
  );
  fc.assert(
    fc.property(nearly, (text) => {
      assert.equal(parseAddress(text)?.family ?? 0, isIP(text), text);
    }),
    { numRuns: 2000 },
  );
});

test('what is printed is read back, and prints the same again', () => {
  const address = fc.oneof(
    fc.bigInt(0n, (1n << 32n) - 1n).map((bits) => ({ family: 4 as const, bits })),
    fc.bigInt(0n, (1n << 128n) - 1n).map((bits) => ({ family: 6 as const, bits })),
    fc
      .array(fc.constantFrom<bigint>(0n, 1n, 0xabcdn), { minLength: 8, maxLength: 8 })
      .map((groups) => groups.reduce((bits, group) => (bits << 16n) | group, 0n))
      .map((bits) => ({ family: 6 as const, bits })),
  );
  fc.assert(
    fc.property(address, (value) => {
      assert.deepEqual(parseAddress(formatAddress(value)), value);
    }),
    { numRuns: 1000 },
  );
});

test('prefixes hold, overlap and have networks', () => {
  assert.equal(formatPrefix(network(prefix('10.10.1.2/30'))), '10.10.1.0/30');
  assert.equal(formatPrefix(network(prefix('fd10:1::2/64'))), 'fd10:1::/64');
  assert.equal(formatPrefix(network(prefix('1.2.3.4/0'))), '0.0.0.0/0');
  assert.ok(contains(prefix('10.0.0.0/8'), prefix('10.255.255.255/32')));
  assert.ok(!contains(prefix('10.0.0.0/8'), prefix('11.0.0.0/32')));
  assert.ok(!contains(prefix('0.0.0.0/0'), prefix('::/128')));
  assert.ok(overlaps(prefix('10.10.1.2/30'), prefix('10.0.0.0/8')));
  assert.ok(overlaps(prefix('10.0.0.0/8'), prefix('10.10.1.2/30')));
  assert.ok(!overlaps(prefix('10.10.1.2/30'), prefix('10.10.1.4/30')));
  assert.equal(canonicalPrefix('FD00::0:1/64'), 'fd00::1/64');
});

test('an interface bears neither the prefix nor its broadcast, unless there is none', () => {
  const usable = ['10.0.0.1/30', '10.0.0.0/31', '10.0.0.1/31', '10.0.0.0/32', 'fd00::/127'];
  const unusable = ['10.0.0.0/30', '10.0.0.3/30', '10.0.0.255/24', 'fd00::/64'];
  for (const text of usable) assert.ok(isHostAddress(prefix(text)), text);
  for (const text of unusable) assert.ok(!isHostAddress(prefix(text)), text);
  assert.ok(isHostAddress(prefix('fd00::ffff:ffff:ffff:ffff/64')), 'IPv6 has no broadcast');
});

test('kinds of addresses', () => {
  for (const text of ['fe80::1/64', 'febf::1/10']) assert.ok(isLinkLocal(prefix(text)), text);
  for (const text of ['fec0::1/10', '169.254.0.1/16']) assert.ok(!isLinkLocal(prefix(text)), text);
  for (const text of ['10.0.0.1/8', 'fd00::1/64', '223.255.255.1/24']) {
    assert.ok(isUnicast(prefix(text)), text);
  }
  for (const text of ['127.0.0.1/8', '0.0.0.1/8', '224.0.0.1/4', '::1/128', '::/0', 'ff02::1/16']) {
    assert.ok(!isUnicast(prefix(text)), text);
  }
});
