import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleBfdSession } from '../model/testing';
import type { BfdSessionView, NeighborView, RoutingStatus, ServiceView } from '../model/routing';
import {
  type EdgeWitness,
  GONE_AFTER_MS,
  judgeRegions,
  NO_MEMORY,
  type RegionVerdict,
  remember,
  type ServicePicture,
  UNPROVEN_AFTER_MS,
} from './evidence';

const NOW = 1_000_000;

const session = (local: string, peer: string, over: Partial<BfdSessionView> = {}): BfdSessionView =>
  exampleBfdSession(local, peer, { sinceMs: NOW - 60_000, ...over });

const DOWN = { state: 'down', remoteState: 'down', downs: 1, sinceMs: NOW - 40 } as const;

const neighbor = (over: Partial<NeighborView> = {}): NeighborView => ({
  address: '192.0.2.1',
  asn: 64500,
  state: 'established',
  localAddress: '192.0.2.2',
  sinceMs: NOW - 60_000,
  accepted: 0,
  held: null,
  problem: null,
  bfd: null,
  ...over,
});

const view = (over: Partial<ServiceView> = {}): ServiceView => ({
  service: 'dns',
  prefixes: ['203.0.113.10/32'],
  stance: 'announce',
  announced: true,
  why: [],
  proven: true,
  sinceMs: NOW - 60_000,
  permit: false,
  ...over,
});

const status = (over: Partial<RoutingStatus> = {}): RoutingStatus => ({
  atMs: NOW,
  gobgpd: { problem: null },
  bfd: { problem: null, realtime: true },
  neighbors: [neighbor()],
  bfdPeers: [],
  services: [view()],
  ...over,
});

const edge = (node: string, over: Partial<EdgeWitness> = {}): EdgeWitness => ({
  node,
  region: node.split('-')[0] ?? '',
  goneForMs: null,
  unheard: false,
  status: status(),
  ...over,
});

function judged(edges: EdgeWitness[], over: Partial<ServicePicture> = {}) {
  const nodes = edges.map(({ node, region }) => ({ node, region, expected: region === 'fra' }));
  const verdicts = judgeRegions({ service: 'dns', nowMs: NOW, nodes, edges, ...over });
  return Object.fromEntries(verdicts.map((verdict) => [verdict.region, verdict]));
}

const standby = { services: [view({ stance: 'withdraw', announced: false, why: ['a backup'] })] };

test('a region that announces serves, its backup is able', () => {
  const { fra, ams } = judged([edge('fra-1'), edge('ams-1', { status: status(standby) })]);
  assert.deepEqual([fra?.state, fra?.kinds, fra?.sinceMs], ['serving', [], null]);
  assert.equal(ams?.state, 'able');
});

test('it fails when all its nodes do, each for its own reason', () => {
  const cut = status({ neighbors: [neighbor({ state: 'idle', sinceMs: NOW - 70 })] });
  const ill = status({
    services: [
      view({ announced: false, proven: false, why: ['the probe fails'], sinceMs: NOW - 90 }),
    ],
  });
  const one = judged([edge('fra-1', { status: cut }), edge('fra-2')]);
  assert.equal(one['fra']?.state, 'serving');
  const both = judged([edge('fra-1', { status: cut }), edge('fra-2', { status: ill })]);
  assert.equal(both['fra']?.state, 'failing');
  assert.deepEqual(both['fra']?.kinds, ['sessionsDown', 'unhealthy']);
  assert.equal(both['fra']?.sinceMs, NOW - 90);
  assert.deepEqual(both['fra']?.why, [
    'fra-1: no session to a router is up',
    'fra-2: the probe fails',
  ]);
});

test('an agent that has just begun does not know its sessions; one whose gobgpd is gone does', () => {
  const fra = (over: Partial<NeighborView>) => {
    const services = [view({ announced: false, why: ['no session is up'] })];
    return judged([
      edge('fra-1', {
        status: status({ neighbors: [neighbor({ state: 'unknown', ...over })], services }),
      }),
    ])['fra'];
  };
  assert.equal(fra({ sinceMs: 0 })?.state, 'unknown');
  assert.deepEqual(fra({ sinceMs: NOW - 50 })?.kinds, ['sessionsDown']);
});

test('BFD that is down counts as no session, whatever BGP still believes', () => {
  const believed = status({
    neighbors: [neighbor({ bfd: session('192.0.2.2', '192.0.2.1', DOWN) })],
  });
  assert.deepEqual(judged([edge('fra-1', { status: believed })])['fra']?.kinds, ['sessionsDown']);
});

test('a drained node is no help to those that shall serve', () => {
  const cut = status({ neighbors: [neighbor({ state: 'idle' })] });
  const edges = [edge('fra-1', { status: cut }), edge('fra-2', { status: status(standby) })];
  const nodes = edges.map(({ node, region }) => ({ node, region, expected: node === 'fra-1' }));
  assert.equal(judged(edges, { nodes })['fra']?.state, 'failing');
});

/** fra-1, and so many edges elsewhere that have a session to it. */
function witnessed(down: number, up: number, over: Partial<BfdSessionView> = DOWN): EdgeWitness[] {
  const others = Array.from({ length: down + up }, (_, i) => {
    const made = session(`10.0.${i}.1`, '10.9.0.1', i < down ? over : {});
    return edge(`w${i}-1`, { status: status({ bfdPeers: [made], services: [] }) });
  });
  const own = others.map((_, i) => session('10.9.0.1', `10.0.${i}.1`));
  return [edge('fra-1', { status: status({ bfdPeers: own }) }), ...others];
}

test('a majority of the other regions edges decides, and no less', () => {
  const fra = (edges: EdgeWitness[]) => judged(edges)['fra'];
  assert.deepEqual(fra(witnessed(2, 1))?.kinds, ['probesFailing']);
  assert.equal(fra(witnessed(2, 1))?.sinceMs, NOW - 40);
  assert.match(fra(witnessed(2, 1))?.why[0] ?? '', /w0-1, w1-1.*2 of 3 edges/);
  assert.equal(fra(witnessed(1, 1))?.state, 'serving');
  assert.equal(fra(witnessed(1, 2))?.state, 'serving');
});

test('who is cut off, gone, never had a session, or was told AdminDown bears no witness', () => {
  const fra = (edges: EdgeWitness[]) => judged(edges)['fra']?.state;
  const [own, witness] = witnessed(1, 0) as [EdgeWitness, EdgeWitness];
  const cut = { ...witness.status!, neighbors: [neighbor({ state: 'active' })] };
  assert.equal(fra([own, witness]), 'failing');
  assert.equal(fra([own, { ...witness, status: cut }]), 'serving');
  assert.equal(fra([own, { ...witness, goneForMs: 1 }]), 'serving');
  assert.equal(fra(witnessed(1, 0, { ...DOWN, downs: 0 })), 'serving');
  assert.equal(fra(witnessed(1, 0, { ...DOWN, remoteState: 'adminDown' })), 'serving');
});

test('edges that are gone together fail their region, unless others reach them', () => {
  const gone = (forMs: number) => edge('fra-1', { goneForMs: forMs });
  const fra = (edges: EdgeWitness[]) => judged(edges)['fra'];
  const backup = edge('ams-1', { status: status(standby) });
  assert.deepEqual(fra([gone(GONE_AFTER_MS), backup])?.kinds, ['edgesGone']);
  assert.equal(fra([gone(GONE_AFTER_MS), backup])?.sinceMs, NOW - GONE_AFTER_MS);
  assert.equal(fra([gone(GONE_AFTER_MS - 1), backup])?.state, 'unknown');
  // The controller itself is cut off: of nobody it hears anything.
  assert.equal(fra([gone(60_000), { ...backup, goneForMs: 1 }])?.state, 'unknown');
  const [own, witness] = witnessed(0, 1) as [EdgeWitness, EdgeWitness];
  assert.equal(fra([{ ...own, goneForMs: 60_000 }, witness])?.state, 'unknown');
});

test('a controller that is not heard takes its edges out of what is known, and fails nobody', () => {
  const fra = (edges: EdgeWitness[]) => judged(edges)['fra'];
  const backup = edge('ams-1', { status: status(standby) });
  const unheard = edge('fra-1', { unheard: true });
  assert.equal(fra([unheard, backup])?.state, 'unknown');
  assert.match(fra([unheard, backup])?.why[0] ?? '', /controller with its stream is not heard/);
  // What it said last is no testimony.
  const [own, witness] = witnessed(1, 0) as [EdgeWitness, EdgeWitness];
  assert.equal(fra([own, { ...witness, unheard: true }])?.state, 'serving');
  // Of nobody else anything is heard: it is we who are cut off.
  const gone = edge('fra-1', { goneForMs: 60_000 });
  assert.equal(fra([gone, { ...backup, unheard: true }])?.state, 'unknown');
  // Others that are heard decide as ever.
  assert.equal(fra([{ ...own, unheard: true }, witness])?.state, 'failing');
});

test('a clock that steps fails nobody, and brings nobody back', () => {
  const backup = edge('ams-1', { status: status(standby) });
  const fra = (forMs: number, nowMs: number) =>
    judged([edge('fra-1', { goneForMs: forMs }), backup], { nowMs })['fra']?.state;
  for (const nowMs of [NOW, NOW + 3_600_000, 1]) {
    assert.equal(fra(GONE_AFTER_MS - 1, nowMs), 'unknown');
    assert.equal(fra(GONE_AFTER_MS, nowMs), 'failing');
  }
});

test('nobody fails by ignorance', () => {
  assert.equal(judged([edge('fra-1', { status: null })])['fra']?.state, 'unknown');
  const young = status({ services: [] });
  assert.equal(judged([edge('fra-1', { status: young })])['fra']?.state, 'unknown');
});

const verdict = (state: RegionVerdict['state'], needed = true): RegionVerdict => ({
  region: 'fra',
  state,
  needed,
  kinds: [],
  why: [],
  sinceMs: null,
});

test('a failure is told once, and its end once', () => {
  let memory = NO_MEMORY;
  const see = (state: RegionVerdict['state'], atMs: number) => {
    const seen = remember(memory, verdict(state), atMs);
    memory = seen.memory;
    return seen.tell;
  };
  assert.equal(see('serving', 1), null);
  assert.equal(see('failing', 2), 'failing');
  assert.equal(see('failing', 3), null);
  assert.equal(see('unknown', 4), null);
  assert.equal(see('able', 5), 'recovered');
  assert.equal(see('serving', 6), null);
  assert.equal(see('failing', 7), 'failing');
});

test('a region that was never seen healthy has time to be brought up', () => {
  const first = remember(NO_MEMORY, verdict('failing'), 5);
  assert.deepEqual([first.tell, first.againAtMs], [null, 5 + UNPROVEN_AFTER_MS]);
  const late = remember(first.memory, verdict('failing'), 5 + UNPROVEN_AFTER_MS);
  assert.equal(late.tell, 'failing');
});

test('what was told before a restart is known by what is commanded', () => {
  const told = { ...NO_MEMORY, told: 'failing' } as const;
  assert.equal(remember(told, verdict('failing'), 1).tell, null);
  assert.equal(remember(told, verdict('able'), 1).tell, 'recovered');
});

test('a backup that fails while it stands by is no news; one that was left because it failed is', () => {
  assert.equal(remember({ ...NO_MEMORY, proven: true }, verdict('failing', false), 1).tell, null);
  const back = { ...NO_MEMORY, proven: true, told: 'recovered' } as const;
  assert.equal(remember(back, verdict('failing', false), 1).tell, 'failing');
});
