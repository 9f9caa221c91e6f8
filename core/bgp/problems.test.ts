import assert from 'node:assert/strict';
import { test } from 'node:test';
import { peerProblem } from './problems';
import type { PeerState } from './types';

const state = (more: Partial<PeerState>): PeerState => ({
  config: {
    address: '10.0.0.2',
    asn: 65010,
    password: '',
    ttlSecurity: false,
    multihop: null,
    holdTimeS: 9,
    maxPrefixes: 100,
  },
  state: 'active',
  adminDown: false,
  prefixLimitExceeded: false,
  localAddress: null,
  sinceMs: 0,
  received: 0,
  opens: { sent: 0, received: 0 },
  notifications: { sent: 0, received: 0 },
  ...more,
});

test('what the counters say of a session that does not come up', () => {
  const { config } = state({});
  const rows: [Partial<PeerState>, RegExp][] = [
    [{}, /does not answer, or expects a password/],
    [{ config: { ...config, password: 'geheim' } }, /wrong password/],
    [{ opens: { sent: 1, received: 0 } }, /closes the connection/],
    [
      { opens: { sent: 1, received: 0 }, notifications: { sent: 0, received: 1 } },
      /refuses our OPEN/,
    ],
    [
      { opens: { sent: 1, received: 1 }, notifications: { sent: 1, received: 0 } },
      /wrong AS number.*65010/,
    ],
    [{ adminDown: true }, /disabled by hand/],
    [{ adminDown: true, prefixLimitExceeded: true }, /more than 100 prefixes/],
  ];
  for (const [more, sentence] of rows) {
    const said = peerProblem(state(more), 60_000) ?? '';
    assert.match(said, sentence);
    assert.doesNotMatch(said, /geheim/);
  }
  assert.equal(peerProblem(state({}), 1_000), null);
  assert.equal(peerProblem(state({ state: 'established' }), 60_000), null);
});
