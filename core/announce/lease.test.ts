import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BgpSpec } from '../model/bgp';
import { GRACEFUL_SHUTDOWN } from '../model/anycast';
import { communityOf, leaseOf } from './lease';
import { PREFIX, service } from './testing';

const BFD = { intervalMs: 300, multiplier: 3, holdDownMs: 5_000 };
const NEIGHBOR = {
  address: '192.0.2.1',
  asn: 64_500,
  passwordRef: null,
  ttlSecurity: false,
  multihop: null,
  holdTimeMs: 9_000,
  maxPrefixes: 10,
  bfd: BFD,
};
const BGP: BgpSpec = {
  asn: 64_512,
  routerId: '192.0.2.2',
  listenPort: null,
  importPrefixes: [],
  installRoutes: false,
  neighbors: [
    NEIGHBOR,
    { ...NEIGHBOR, address: '192.0.2.9', bfd: null },
    { ...NEIGHBOR, address: '2001:db8::1', multihop: 3 },
  ],
};

test('a lease has each prefix with what its expiry is, and the sessions of whoever has BFD', () => {
  const services = [service({ communities: ['65000:100'], prepend: 2, permit: true })];
  const judged = [
    {
      service: 'dns',
      stance: 'deprefer',
      why: [],
      paths: [{ prefix: PREFIX, stance: 'deprefer' }],
      proven: true,
    } as const,
  ].map((each) => ({ ...each, why: [], paths: [...each.paths] }));
  const seamless = { address: '2001:db8::9', multihop: true, ...BFD, mode: 'seamless' } as const;
  const bfdPeers = [
    { address: '198.51.100.7', multihop: true, ...BFD, intervalMs: 10 },
    { ...seamless, local: '2001:db8::1', outOfService: true } as const,
  ];
  const lease = leaseOf({ bgp: BGP, bfdPeers, services, judged, graceMs: 30_000 });
  assert.deepEqual(lease, {
    asn: 64_512,
    graceMs: 30_000,
    paths: [
      {
        prefix: PREFIX,
        service: 'dns',
        stance: 'deprefer',
        communities: [0xfde80064],
        prepend: 2,
        onExpiry: 'withdraw',
      },
    ],
    sessions: [
      { address: '192.0.2.1', multihop: false, ...BFD, bgp: true, local: null },
      { address: '2001:db8::1', multihop: true, ...BFD, bgp: true, local: null },
      { address: '198.51.100.7', multihop: true, ...BFD, intervalMs: 10, bgp: false, local: null },
      { ...seamless, bgp: false, local: '2001:db8::1' },
    ],
  });
});

test('communities are numbers', () => {
  assert.equal(communityOf('65535:0'), GRACEFUL_SHUTDOWN);
  assert.equal(communityOf('0:1'), 1);
  assert.equal(communityOf('65535:65535'), 0xffffffff);
});
