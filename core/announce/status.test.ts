import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { BfdSessionView, ServiceView } from '../model/routing';
import { type NeighborFacts, routingStatus } from './status';
import { service } from './testing';
import type { BfdReport } from './types';

const V4 = '192.0.2.1';
const V6 = '2001:db8::1';
const DUAL = ['203.0.113.10/32', '2001:db8:5::10/128'];

const facts = (address: string, change: Partial<NeighborFacts> = {}): NeighborFacts => ({
  address,
  asn: 65_010,
  state: 'established',
  localAddress: null,
  sinceMs: 0,
  accepted: 0,
  problem: null,
  ...change,
});

const report = (change: Partial<BfdReport> = {}): BfdReport => ({
  atMs: 0,
  realtime: { held: true, problem: null },
  gobgpd: { problem: null },
  sessions: [],
  peers: [],
  paths: DUAL.map((prefix) => ({ prefix, stance: 'announce' })),
  expired: null,
  ...change,
});

const status = (
  neighbors: readonly NeighborFacts[],
  prefixes = DUAL,
  change: Partial<BfdReport> = {},
) =>
  routingStatus({
    nowMs: 0,
    services: [service({ prefixes })],
    judged: [
      {
        service: 'dns',
        stance: 'announce',
        why: [],
        paths: prefixes.map((prefix) => ({ prefix, stance: 'announce' })),
        proven: true,
      },
    ],
    standings: {},
    report: report(change),
    bfdProblem: null,
    gobgpdProblem: null,
    neighbors,
  });

const view = (...args: Parameters<typeof status>): [announced: boolean, why: string[]] => {
  const [of] = status(...args).services as [ServiceView];
  return [of.announced, of.why];
};

describe('a service is announced where each family that the node speaks has somebody who is told', () => {
  it('both', () => {
    assert.deepEqual(view([facts(V4), facts(V6)]), [true, []]);
    assert.deepEqual(view([facts(V4), facts(V6, { state: 'active' })]), [
      false,
      ['no BGP session is established for IPv6'],
    ]);
  });

  it('one alone', () => {
    assert.deepEqual(view([facts(V4)]), [true, []]);
    assert.deepEqual(view([facts(V4)], ['2001:db8:5::10/128']), [
      false,
      ['no BGP neighbour has an IPv6 address, and so is told of it'],
    ]);
    assert.deepEqual(view([]), [false, ['no BGP neighbour is known']]);
  });

  it('and is not held', () => {
    const peers: BfdReport['peers'] = [
      { address: V4, state: 'established', held: { untilMs: null, why: 'BFD went down' } },
    ];
    assert.deepEqual(view([facts(V4)], DUAL, { peers }), [
      false,
      [`nothing is exported to ${V4} yet: BFD went down`],
    ]);
    const other = facts('192.0.2.9');
    assert.deepEqual(view([facts(V4), other], DUAL, { peers }), [true, []]);
  });
});

it('a neighbour whose BGP is up and whose BFD is not has that as its problem', () => {
  const session = (
    state: BfdSessionView['state'],
    refused: string | null = null,
  ): BfdSessionView => ({
    peer: V4,
    multihop: false,
    local: null,
    state,
    remoteState: 'down',
    sinceMs: 0,
    diagnostic: '',
    remoteDiagnostic: '',
    localDiscriminator: 1,
    remoteDiscriminator: 0,
    transmitIntervalMs: 0,
    detectTimeMs: 0,
    remoteMultiplier: 0,
    refused,
    packets: { sent: 0, received: 0, dropped: 0 },
    downs: 0,
    lateMaxMs: 0,
    gapMaxMs: 0,
  });
  const problem = (bfd: BfdSessionView, of = facts(V4)): string | null | undefined =>
    status([of], DUAL, { sessions: [bfd] }).neighbors[0]?.problem;
  assert.equal(problem(session('up')), null);
  assert.match(problem(session('down')) ?? '', /BFD is not up/);
  assert.equal(problem(session('down'), facts(V4, { state: 'idle' })), null);
  assert.equal(
    problem(session('down', 'the peer asks for demand mode')),
    'BFD: the peer asks for demand mode',
  );
});
