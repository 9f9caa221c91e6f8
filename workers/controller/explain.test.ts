import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Decision, EdgeStatus } from '../../core/model/messages';
import { compileEdgeSpec, NO_BINDINGS } from '../../core/model/compile';
import type { Phase } from '../../core/model/edge-spec';
import { specHash } from '../../core/model/hash';
import { plainFilter } from '../../core/model/node';
import type { Finding } from '../../core/plan/types';
import type { EdgeView } from './fleet';
import { DEFAULT_BFD, DEFAULT_BGP } from '../../core/model/schema-routing';
import { exampleEdgeService } from '../../core/model/testing';
import { explain, type Knowledge, viewOf } from './explain';
import { nodeResource } from './testing/resources';

const resource = nodeResource('fra-1', 1);

function desired(phase: Phase) {
  const spec = compileEdgeSpec({
    ...NO_BINDINGS,
    node: { value: { resource, deletionRevision: null }, revision: 7 },
    phase: { value: { phase }, revision: 8 },
    override: null,
    freeze: null,
    routing: null,
  });
  return {
    nodeRevision: 7,
    deletionRevision: null,
    phase,
    phaseRevision: 8,
    spec,
    hash: specHash(spec),
    unread: null,
  };
}

const wanted = desired('active');
const finding: Finding = {
  kind: 'linkMissing',
  object: 'edge/edge0',
  message: 'it is not there',
  conflict: false,
};

const connected: EdgeView = {
  connected: true,
  at: 'c1',
  stream: 's1',
  connectedAgoMs: 500,
  unheardForMs: null,
  appliedHash: wanted.hash,
  open: null,
  refused: null,
  seenAgoMs: 1_000,
  routing: null,
};

const status: EdgeStatus = {
  node: 'fra-1',
  incarnation: 1,
  agentVersion: '1',
  accepted: { revision: 8, hash: wanted.hash, phase: 'active' },
  appliedHash: wanted.hash,
  findings: [],
  plan: [],
  planHash: '',
  incident: null,
  lastDecision: null,
  lastRepair: null,
  nextTimer: null,
  budget: { attempts: 5, used: 0, perMs: 1 },
  frozen: { local: false, node: false, global: false },
  controller: { connected: true, address: null, sinceMs: null },
  temporal: { connected: true },
  problems: [],
};

const healthy: Knowledge = {
  node: 'fra-1',
  resource,
  desired: wanted,
  frozen: { node: null, global: null },
  edge: connected,
  status,
  certificateIssuedAtMs: null,
  onboardFailed: null,
  isUnheard: false,
  silentOwner: null,
  temporalUp: true,
  nowMs: 2_000,
};

/** `healthy`, but with a missing link that was decided about. */
const drifted = (decision: Decision | null): Knowledge => ({
  ...healthy,
  status: {
    ...status,
    findings: [finding],
    incident: 'inc-1',
    lastDecision: decision && { decision, atMs: 1_500, incidentId: 'inc-1' },
  },
});

test('of a healthy node there is nothing to explain', () => {
  const { view, difference, whyNot, observed } = explain(healthy);
  assert.equal(view.converged, true);
  assert.deepEqual(difference, []);
  assert.equal(whyNot, null);
  assert.deepEqual(observed, { acceptedRevision: 8, appliedHash: wanted.hash, atMs: 2_000 });
});

test('lists and blocks of a node are told once each, and where nothing enforces them', () => {
  const blob = { sha256: 'a'.repeat(64), count: 12, chunks: [] };
  const told = (filters: typeof wanted.spec.filters): string[] => {
    const spec = {
      ...wanted.spec,
      filters,
      blocklists: [{ name: 'bad', mode: 'count' as const, blob }],
      blocks: [{ prefix: '192.0.2.7/32', reason: '', untilMs: null }],
    };
    const { summary } = explain({ ...healthy, desired: { ...wanted, spec } }).desired;
    return summary.filter((line) => /list|blocked/.test(line));
  };
  assert.deepEqual(told([plainFilter('uplink0')]), [
    'blocklist bad (count): 12 prefixes',
    '1 prefixes blocked for a time or by hand',
  ]);
  assert.deepEqual(told([]), [
    'blocklist bad (count): 12 prefixes, but no filter is there to enforce that',
    '1 prefixes blocked for a time or by hand, but no filter is there to enforce that',
  ]);
});

test('services of a node are told with their stance, and whom it speaks BGP and BFD with', () => {
  const web = exampleEdgeService('web', ['203.0.113.10']);
  const commanded = { stance: 'withdraw', why: 'eu-central stands by' } as const;
  const spec = {
    ...wanted.spec,
    services: [web, { ...web, name: 'dns', commanded }],
    bgp: { ...DEFAULT_BGP, importPrefixes: [], asn: 64512, routerId: '10.0.0.1', neighbors: [] },
    bfdPeers: [{ ...DEFAULT_BFD, address: '192.0.2.9', multihop: true }],
  };
  const { summary } = explain({ ...healthy, desired: { ...wanted, spec } }).desired;
  assert.deepEqual(summary.slice(-4), [
    'service web (203.0.113.10/32): announce',
    'service dns (203.0.113.10/32): withdraw, since eu-central stands by',
    'BGP as AS 64512 with nobody',
    'BFD with 192.0.2.9',
  ]);
});

test('a difference is told in the words of the finding', () => {
  const { view, difference, whyNot } = explain(drifted({ kind: 'repair' }));
  assert.equal(view.converged, false);
  assert.deepEqual(difference, ['edge/edge0: it is not there']);
  assert.equal(whyNot, 'the repair is under way');
});

const swap = { frozen: true, reason: 'NIC swap', by: 'ada@ops', atMs: 1_000 };

test('a freeze is told with who said it, since when, until when and why, whatever the host is like', () => {
  const freeze = { sinceMs: 1_500, untilMs: 61_500, reason: 'cable work', by: 'bob@fra-1' };
  const frozen = { node: swap, global: { ...swap, reason: '' } };
  const here = { ...status, frozen: { ...status.frozen, local: true }, freeze };
  const { view } = explain({ ...healthy, frozen, status: here });
  assert.equal(view.frozen, true);
  assert.deepEqual(view.freezes, [
    'on its host until 1970-01-01T00:01:01.500Z by bob@fra-1 since 1970-01-01T00:00:01.500Z: cable work',
    'by ada@ops since 1970-01-01T00:00:01.000Z: NIC swap',
    'with all nodes by ada@ops since 1970-01-01T00:00:01.000Z',
  ]);
  assert.deepEqual(explain(healthy).view.freezes, []);
});

test('why it is not repaired names what to do about it', () => {
  const why = (known: Knowledge) => explain(known).whyNot;
  assert.equal(
    why(drifted({ kind: 'propose', planHash: 'abc' })),
    'it waits for an approval: aether approve fra-1 abc',
  );
  assert.equal(
    why({ ...drifted(null), frozen: { node: swap, global: null } }),
    'it is frozen: aether unfreeze fra-1',
  );
  assert.match(why({ ...drifted(null), temporalUp: false }) ?? '', /^Temporal is not in reach/);
  assert.match(
    why({ ...healthy, edge: { ...connected, connected: false }, status: null }) ?? '',
    /^its agent is not connected since 1970-01-01T00:00:01.000Z; it keeps its last spec$/,
  );
  const unheard = { ...connected, connected: false, at: 'c2', unheardForMs: 500 };
  assert.match(
    why({ ...healthy, edge: unheard, status: null }) ?? '',
    /^controller c2, which had its stream, is not heard since 1970-01-01T00:00:01.500Z; it keeps/,
  );
  assert.match(
    why({ ...healthy, edge: null, status: null }) ?? '',
    /is not connected yet; it keeps/,
  );
  assert.match(
    why({ ...healthy, edge: null, status: null, isUnheard: true }) ?? '',
    /controller that owns it is not heard by the one that answers/,
  );
  assert.match(why({ ...healthy, edge: { ...connected, refused: 'no' } }) ?? '', /refused .*: no$/);
  assert.match(
    why({ ...healthy, status: { ...status, problems: ['disk full'] } }) ?? '',
    /disk full$/,
  );
  assert.match(why({ ...healthy, desired: desired('onboarding') }) ?? '', /being onboarded/);
});

test('a decision on another incident explains nothing', () => {
  const old: Knowledge = drifted({ kind: 'report' });
  old.status!.lastDecision!.incidentId = 'inc-0';
  assert.equal(explain(old).whyNot, 'the repair is under way');
});

test('without an answer of the edge its reports stand', () => {
  const known: Knowledge = {
    ...healthy,
    status: null,
    edge: { ...connected, open: { incidentId: 'inc-1', findings: [finding] } },
  };
  const view = viewOf(known);
  assert.deepEqual([view.converged, view.findings, view.lastIncident], [false, 1, 'inc-1']);
  assert.equal(viewOf({ ...healthy, status: null }).converged, true);
});

test('of somebody who fights us the name is told', () => {
  const fighting = { finding: 'linkMissing edge/edge0', times: 3, suspect: 'ip (pid 7)' };
  const { whyNot } = explain(drifted({ kind: 'fighting', ...fighting }));
  assert.match(whyNot ?? '', /came back 3 times, last by ip \(pid 7\)/);
});

test('a node whose list is still being fetched is not as it should be, and says what it waits for', () => {
  const list = { name: 'bad', mode: 'enforce', wanted: 9, held: null, chunksMissing: 2 } as const;
  const filters = { interfaces: [], lists: [list], overrides: [] };
  const waiting: Knowledge = {
    ...healthy,
    status: { ...status, appliedHash: 'former', problems: ['the list bad …'], filters },
  };
  const { view, whyNot, difference } = explain(waiting);
  assert.equal(view.converged, false);
  assert.match(whyNot ?? '', /^the list bad is on its way .2 chunks are missing.: nothing of it/);
  assert.deepEqual(difference, [whyNot]);
  const held = { ...filters, lists: [{ ...list, held: 7 }] };
  const former = explain({ ...waiting, status: { ...waiting.status!, filters: held } });
  assert.match(former.whyNot ?? '', /its former version goes on$/);
});

test('a filter that can not take what is wanted is told before all else', () => {
  const uplink = { interface: 'uplink0', wanted: 'a', held: 'b', problem: 'ENOMEM' };
  const filters = { interfaces: [uplink], lists: [], overrides: [] };
  const { whyNot } = explain({ ...healthy, status: { ...status, filters } });
  assert.equal(whyNot, 'the filter of uplink0 goes on with what it held: ENOMEM');
});

test('what was done by hand on the host is told beside what is wanted', () => {
  const byHand = { verdict: 'block', reason: 'flood', sinceMs: 0 } as const;
  const overrides = [
    { ...byHand, prefix: '192.0.2.1/32', untilMs: 60_000 },
    { ...byHand, prefix: '192.0.2.2/32', untilMs: null },
  ];
  const filters = { interfaces: [], lists: [], overrides };
  const { view, byHand: told } = explain({ ...healthy, status: { ...status, filters } });
  assert.deepEqual(told, [
    'block 192.0.2.1/32 until 1970-01-01T00:01:00.000Z: flood',
    'block 192.0.2.2/32 until it is taken back: flood',
  ]);
  assert.equal(view.converged, true);
});

test('an owner that is not heard is named, though the edge itself is', () => {
  const { view } = explain({ ...healthy, silentOwner: 'c3' });
  assert.match(view.note ?? '', /^controller c3, which owns it, is not heard/);
});

test('a key that can not be read is named where it may concern a node', () => {
  const unread = '/aether/v1/services/web';
  const desired = { ...wanted, spec: null, hash: null, unread };
  const said = explain({ ...healthy, desired });
  assert.equal(said.view.converged, false);
  assert.match(
    said.whyNot ?? '',
    /^\/aether\/v1\/services\/web in etcd can't be read, .* keeps its last/,
  );
  assert.deepEqual(said.desired.summary, [`not known: ${unread} in etcd can't be read`]);
});

test('a failed onboarding is the note, and nothing is as it should be then', () => {
  const desired = { ...wanted, phase: 'decommissioning' as const };
  const { view, whyNot } = explain({ ...healthy, desired, onboardFailed: 'Not onboarded: no' });
  assert.equal(view.converged, false);
  assert.match(whyNot ?? '', /^its onboarding failed: Not onboarded: no/);
});
