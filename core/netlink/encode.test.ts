import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeDelAddr, encodeNewAddr } from './addr';
import { addressBytes, prefixBytes } from './ip';
import { encodeDelLink, encodeGetLink, encodeNewVeth, encodeSetLink } from './link';
import { encodeGetNsid } from './nsid';
import { encodeDelRoute, encodeNewRoute } from './route';

const v4 = prefixBytes('10.5.0.1/24')!;

/** Requests as the kernel accepted them; the sequence number is still 0. */
const TABLE: { what: string; bytes: Uint8Array; hex: string }[] = [
  {
    what: 'get a link by name, statistics skipped',
    bytes: encodeGetLink({ name: 'v0' }),
    hex: `30000000 1200 0100 00000000 00000000 00000000 00000000 00000000 00000000
          0700 0300 76300000 0800 1d00 08000000`,
  },
  {
    what: 'down and another mtu in one request',
    bytes: encodeSetLink({ name: 'v0' }, { mtu: 1300, up: false }),
    hex: `30000000 1300 0500 00000000 00000000 00000000 00000000 00000000 01000000
          0700 0300 76300000 0800 0400 14050000`,
  },
  {
    what: 'rename and alias by index',
    bytes: encodeSetLink({ index: 5 }, { name: 'e', alias: 'a' }),
    hex: `30000000 1300 0500 00000000 00000000 00000000 05000000 00000000 00000000
          0600 0300 65000000 0600 1400 61000000`,
  },
  {
    what: 'a veth whose peer is made in the namespace of fd 24',
    bytes: encodeNewVeth({
      name: 'v1',
      mtu: 1500,
      group: 5,
      peer: { name: 'v2', mtu: 1500, netnsFd: 24 },
    }),
    hex: `78000000 1000 0506 00000000 00000000 00000000 00000000 00000000 00000000
          0700 0300 76310000 0800 0400 dc050000 0800 1b00 05000000
          4000 1280 0900 0100 7665746800000000
          3000 0280 2c00 0180 00000000 00000000 00000000 00000000
          0700 0300 76320000 0800 0400 dc050000 0800 1c00 18000000`,
  },
  {
    what: 'delete a whole group',
    bytes: encodeDelLink({ group: 5 }),
    hex: `28000000 1100 0500 00000000 00000000 00000000 00000000 00000000 00000000 0800 1b00 05000000`,
  },
  {
    what: 'an address with protocol 174, usable at once',
    bytes: encodeNewAddr({ ifindex: 2, address: v4, protocol: 174, noDad: true }),
    hex: `38000000 1400 0506 00000000 00000000 02 18 00 00 02000000
          0800 0200 0a050001 0800 0100 0a050001 0500 0b00 ae000000 0800 0800 02000000`,
  },
  {
    what: 'take an address away',
    bytes: encodeDelAddr({ ifindex: 2, address: v4 }),
    hex: `28000000 1500 0500 00000000 00000000 02 18 00 00 02000000 0800 0200 0a050001 0800 0100 0a050001`,
  },
  {
    what: 'an IPv6 default route',
    bytes: encodeNewRoute({
      to: prefixBytes('::/0')!,
      via: addressBytes('fd10:1::1')!,
      protocol: 174,
    }),
    hex: `30000000 1800 0506 00000000 00000000 0a 00 00 00 fe ae 00 01 00000000
          1400 0500 fd100001000000000000000000000001`,
  },
  {
    what: 'delete a route of ours',
    bytes: encodeDelRoute({
      to: prefixBytes('10.9.0.0/16')!,
      via: addressBytes('10.1.2.1')!,
      protocol: 174,
    }),
    hex: `2c000000 1900 0500 00000000 00000000 02 10 00 00 fe ae 00 01 00000000
          0800 0100 0a090000 0800 0500 0a010201`,
  },
  {
    what: 'the nsid of fd 24',
    bytes: encodeGetNsid(24),
    hex: `1c000000 5a00 0100 00000000 00000000 00000000 0800 0300 18000000`,
  },
];

for (const { what, bytes, hex } of TABLE) {
  test(`encode: ${what}`, () => {
    assert.equal(Buffer.from(bytes).toString('hex'), hex.replace(/\s/g, ''));
  });
}
