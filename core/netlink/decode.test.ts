import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodeAddr } from './addr';
import { Truncated } from './bytes';
import { decodeEvent } from './event';
import { decodeLink, isUp } from './link';
import { decodeAck, forEachMessage, type Message } from './message';
import { decodeNsid } from './nsid';
import { decodeRoute } from './route';

const TESTDATA = join(__dirname, '../../../core/netlink/testdata');
const fixture = (name: string): string =>
  readFileSync(join(TESTDATA, `${name}.hex`), 'utf8').replace(/\s/g, '');

/** The single message of a hex string, with an offset so that absolute and relative can't be mixed up. */
function message(hex: string): Message {
  const bytes = Buffer.from(hex.replace(/\s/g, ''), 'hex');
  const found: Message[] = [];
  forEachMessage(bytes, bytes.length, (m) => found.push({ ...m }));
  assert.equal(found.length, 1);
  return found[0]!;
}

test('a veth with alias, group, peer in another namespace and native XDP', () => {
  const link = decodeLink(message(fixture('newlink-veth')));
  assert.deepEqual(link, {
    index: 2,
    type: 1,
    flags: 0x1003,
    name: 'v0',
    mtu: 1400,
    kind: 'veth',
    alias: 'aether:x',
    group: 7,
    link: 2,
    linkNetnsid: 0,
    master: null,
    operstate: 2,
    xdp: { attached: 'native', programId: 138 },
  });
  assert.equal(isUp(link), true);
});

test('lo has no kind, no peer, no alias and no program', () => {
  const link = decodeLink(message(fixture('newlink-lo')));
  assert.equal(link.name, 'lo');
  assert.equal(link.type, 772);
  assert.deepEqual(
    [link.kind, link.link, link.linkNetnsid, link.alias, link.xdp],
    Array(5).fill(null),
  );
});

const ADDRS = [
  {
    what: '127.0.0.1/8 on lo, no protocol',
    hex: `4c000000 1400 0200 04000000 13000000 02 08 80 fe 01000000 0800 0100 7f000001
          0800 0200 7f000001 0700 0300 6c6f0000 0800 0800 80000000
          1400 0600 ffffffffffffffff5a9003005a900300`,
    addr: { ifindex: 1, family: 2, address: '127.0.0.1/8', flags: 0x80, protocol: 0 },
  },
  {
    what: '::1/128 on lo, protocol 1 (kernel, lo)',
    hex: `50000000 1400 0200 04000000 13000000 0a 80 80 fe 01000000
          1400 0100 00000000000000000000000000000001
          1400 0600 ffffffffffffffff5a9003005a900300 0800 0800 80000000 0500 0b00 01000000`,
    addr: { ifindex: 1, family: 10, address: '::1/128', flags: 0x80, protocol: 1 },
  },
  {
    what: 'point-to-point: the local side, not the peer',
    hex: `30000000 1400 0000 00000000 00000000 02 20 00 00 05000000
          0800 0100 0a000001 0800 0200 0a000002 0500 0b00 ae000000`,
    addr: { ifindex: 5, family: 2, address: '10.0.0.2/32', flags: 0, protocol: 174 },
  },
];
for (const { what, hex, addr } of ADDRS) {
  test(`address: ${what}`, () => assert.deepEqual(decodeAddr(message(hex)), addr));
}

const ROUTES = [
  {
    what: 'IPv4 through an IPv6 gateway (RTA_VIA)',
    hex: `4c000000 1800 2200 05000000 13000000 02 10 00 00 fe 03 00 01 00000000
          0800 0f00 fe000000 0800 0100 0a080000 1600 1200 0a00fe800000000000000000000000000009 0000
          0800 0400 02000000`,
    route: {
      family: 2,
      to: '10.8.0.0/16',
      via: 'fe80::9',
      ifindex: 2,
      hops: [],
      table: 254,
      protocol: 3,
      type: 1,
      metric: 0,
      flags: 0,
    },
  },
  {
    what: 'the IPv6 default route of ours, no RTA_DST',
    hex: `40000000 1800 0000 00000000 00000000 0a 00 00 00 fe ae 00 01 00000000
          1400 0500 fd100001000000000000000000000001 0800 0600 00040000 0800 0400 07000000`,
    route: {
      family: 10,
      to: '::/0',
      via: 'fd10:1::1',
      ifindex: 7,
      hops: [],
      table: 254,
      protocol: 174,
      type: 1,
      metric: 1024,
      flags: 0,
    },
  },
];
for (const { what, hex, route } of ROUTES) {
  test(`route: ${what}`, () => assert.deepEqual(decodeRoute(message(hex)), route));
}

const ACKS = [
  {
    what: 'success',
    errno: 0,
    extack: '',
    hex: `24000000 0200 0001 09000000 13000000 00000000 30000000 1300 0500 09000000 00000000`,
  },
  {
    what: 'an error with the kernel’s sentence, request capped',
    errno: 22,
    extack: 'mtu less than device minimum',
    hex: `48000000 0200 0003 08000000 13000000 eaffffff 30000000 1300 0500 08000000 00000000
          2100 0100 6d7475206c657373207468616e20646576696365206d696e696d756d00 000000`,
  },
  {
    what: 'an error with the whole request before the attributes',
    errno: 2,
    extack: 'no',
    hex: `34000000 0200 0002 01000000 00000000 feffffff 18000000 1200 0500 01000000 00000000
          1122334455667788 0700 0100 6e6f0000`,
  },
  {
    what: 'the end of a dump',
    errno: 0,
    extack: '',
    hex: `14000000 0300 0200 05000000 13000000 00000000`,
  },
];
for (const { what, hex, errno, extack } of ACKS) {
  test(`ack: ${what}`, () => assert.deepEqual(decodeAck(message(hex)), { errno, extack }));
}

test('nsid: an id, and −1 where none was given', () => {
  assert.equal(
    decodeNsid(message('1c000000 5800 0000 07000000 13000000 00000000 0800 0100 02000000')),
    2,
  );
  assert.equal(
    decodeNsid(message('1c000000 5800 0000 07000000 13000000 00000000 0800 0100 ffffffff')),
    -1,
  );
});

test('events carry the port of whoever asked, and what is no event is null', () => {
  const hex = ADDRS[2]!.hex;
  const deleted = message(
    hex.replace('1400', '1500').replace(/^(\S+ \S+ \S+ \S+) \S+/, '$1 2a000000'),
  );
  assert.deepEqual(decodeEvent(deleted), {
    kind: 'addr',
    deleted: true,
    portId: 42,
    addr: ADDRS[2]!.addr,
  });
  assert.equal(decodeEvent({ ...deleted, type: 1000 }), null);
});

test('an attribute that claims more than there is, or too little for its type, is Truncated', () => {
  const cases = [
    '24000000 1000 0000 00000000 00000000 00000100010000000000000000000000 0800 0400',
    '28000000 1000 0000 00000000 00000000 00000100010000000000000000000000 ff00 0400 00000000',
    '28000000 1000 0000 00000000 00000000 00000100010000000000000000000000 0600 0400 00000000',
    '14000000 1000 0000 00000000 00000000 00000000',
  ];
  for (const hex of cases) {
    assert.throws(() => decodeLink(message(hex)), Truncated, hex);
  }
});
