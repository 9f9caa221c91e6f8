import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BgpSpec, NeighborSpec } from '../model/bgp';
import { peerActions, sessionChanges } from './changes';
import type { PeerConfig, PeerState } from './types';

const config = (address: string, more: Partial<PeerConfig> = {}): PeerConfig => ({
  address,
  asn: 65010,
  password: 'geheim',
  ttlSecurity: false,
  multihop: null,
  holdTimeS: 9,
  maxPrefixes: 100,
  ...more,
});

const present = (peer: PeerConfig, state: PeerState['state'] = 'established'): PeerState => ({
  config: peer,
  state,
  adminDown: false,
  prefixLimitExceeded: false,
  localAddress: null,
  sinceMs: 0,
  received: 0,
  opens: { sent: 0, received: 0 },
  notifications: { sent: 0, received: 0 },
});

const CHANGES: [Partial<PeerConfig>, resets: boolean, RegExp][] = [
  [{ asn: 65020 }, true, /AS 65010 becomes 65020/],
  [{ password: 'anders' }, true, /another password/],
  [{ ttlSecurity: true }, true, /TTL security on/],
  [{ multihop: 3 }, true, /multihop off becomes 3/],
  [{ holdTimeS: 90 }, false, /hold time 9 s becomes 90 s with its next session/],
  [{ maxPrefixes: 5 }, false, /at most 5 prefixes instead of 100/],
];

test('each field is one update, which says whether it resets, and no secret', () => {
  const peers = ['10.0.0.2', '10.0.0.3'].map((address) => present(config(address)));
  for (const [more, resets, sentence] of CHANGES) {
    const wanted = [config('10.0.0.2', more), config('10.0.0.3')];
    const [action, ...others] = peerActions(wanted, peers);
    assert.deepEqual(others, []);
    assert.equal(action?.kind, 'update');
    assert.equal(action.resets, resets);
    assert.match(action.why, sentence);
    assert.doesNotMatch(action.why, /geheim|anders/);
  }
  const all = config('10.0.0.2', Object.assign({}, ...CHANGES.map(([more]) => more)));
  const idle = [present(config('10.0.0.2'), 'active')];
  assert.deepEqual(
    peerActions([all], idle).map(({ resets }) => resets),
    [false],
  );
});

test('what is as wanted is left alone, whatever its order', () => {
  const configs = ['10.0.0.2', '10.0.0.3'].map((address) => config(address));
  assert.deepEqual(peerActions(configs, configs.map((each) => present(each)).reverse()), []);
});

test('what disturbs nobody comes first, what ends sessions last', () => {
  const peers = ['10.0.0.2', '10.0.0.3', '10.0.0.4'].map((address) => present(config(address)));
  const wanted = [
    config('10.0.0.2', { asn: 65020 }),
    config('10.0.0.9'),
    config('10.0.0.3', { holdTimeS: 90 }),
  ];
  assert.deepEqual(
    peerActions(wanted, peers).map(({ kind, address }) => [kind, address]),
    [
      ['update', '10.0.0.3'],
      ['add', '10.0.0.9'],
      ['update', '10.0.0.2'],
      ['delete', '10.0.0.4'],
    ],
  );
  assert.deepEqual(
    peerActions(wanted, peers, new Set(['10.0.0.4'])).filter(({ kind }) => kind === 'delete'),
    [],
  );
});

const neighbor = (address: string, more: Partial<NeighborSpec> = {}): NeighborSpec => ({
  address,
  asn: 65010,
  passwordRef: 'upstream',
  ttlSecurity: false,
  multihop: null,
  holdTimeMs: 9_000,
  maxPrefixes: 100,
  bfd: null,
  ...more,
});

const spec = (neighbors: NeighborSpec[], more: Partial<BgpSpec> = {}): BgpSpec => ({
  asn: 65001,
  routerId: '10.0.0.1',
  listenPort: null,
  importPrefixes: [],
  installRoutes: false,
  neighbors,
  ...more,
});

test('a plan says of each session whether it resets, before it is applied', () => {
  const before = spec([neighbor('10.0.0.2'), neighbor('10.0.0.3')]);
  const told = (after: BgpSpec | null) =>
    sessionChanges(before, after).map(({ address, resets }) => [address, resets]);
  const with2 = (more: Partial<NeighborSpec>): BgpSpec =>
    spec([neighbor('10.0.0.2', more), neighbor('10.0.0.3')]);
  assert.deepEqual(told(before), []);
  assert.deepEqual(told(with2({ holdTimeMs: 90_000 })), [['10.0.0.2', false]]);
  assert.deepEqual(told(with2({ passwordRef: 'other' })), [['10.0.0.2', true]]);
  const bfd = { intervalMs: 300, multiplier: 3, holdDownMs: 5_000 };
  assert.deepEqual(told(with2({ bfd })), [['10.0.0.2', false]]);
  assert.deepEqual(told({ ...before, importPrefixes: ['0.0.0.0/0'], installRoutes: true }), []);
  assert.deepEqual(told(spec([neighbor('10.0.0.3'), neighbor('10.0.0.4')])), [
    ['10.0.0.4', false],
    ['10.0.0.2', true],
  ]);
  assert.deepEqual(told({ ...before, asn: 65002 }), [[null, true]]);
  assert.match(
    sessionChanges(before, { ...before, listenPort: 179 })[0]?.what ?? '',
    /listenPort off becomes 179.*drain/,
  );
  assert.deepEqual(told(null), [
    ['10.0.0.2', true],
    ['10.0.0.3', true],
  ]);
  assert.deepEqual(
    sessionChanges(null, before).map(({ resets }) => resets),
    [false, false],
  );
});
