import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stance } from '../../core/model/anycast';
import type { BgpState, NeighborView, RoutingStatus } from '../../core/model/routing';
import { pathNote } from './path-notes';

const neighbor = (address: string, state: BgpState, problem: string | null): NeighborView => ({
  address,
  asn: 65001,
  state,
  localAddress: null,
  sinceMs: 1,
  accepted: 0,
  held: null,
  problem,
  bfd: null,
});

const up = neighbor('10.0.0.2', 'established', null);

const statusOf = (neighbors: NeighborView[], announced: boolean): RoutingStatus => ({
  atMs: 1,
  gobgpd: { problem: null },
  bfd: { problem: null, realtime: true },
  neighbors,
  bfdPeers: [],
  services: [
    {
      service: 'web',
      prefixes: ['203.0.113.10/32'],
      stance: announced ? 'announce' : 'withdraw',
      announced,
      why: announced ? [] : ['nothing answers on 203.0.113.10'],
      sinceMs: 1,
      permit: true,
    },
  ],
});

const web = (stance: Stance) => [{ name: 'web', commanded: { stance, why: '' } }];

test('one session that is up is enough; without any, each says why', () => {
  const down = [
    neighbor('10.0.0.2', 'active', 'BFD went down'),
    neighbor('10.0.0.6', 'idle', null),
  ];
  assert.equal(
    pathNote(statusOf(down, false), web('announce')),
    'none of its BGP sessions is up (10.0.0.2: BFD went down, 10.0.0.6: idle)',
  );
  assert.equal(pathNote(statusOf([up, ...down.slice(1)], true), web('announce')), null);
});

test('a service is missed where it is to be announced, and not where it stands by', () => {
  assert.equal(
    pathNote(statusOf([up], false), web('announce')),
    'web is not announced: nothing answers on 203.0.113.10',
  );
  assert.equal(pathNote(statusOf([up], false), web('withdraw')), null);
  assert.equal(pathNote(statusOf([up], false), []), null);
});
