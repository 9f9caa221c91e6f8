import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EdgeWitness, GONE_AFTER_MS, UNPROVEN_AFTER_MS } from '../../core/failover/evidence';
import type { RoutingStatus } from '../../core/model/routing';
import type { FailoverEvidence } from '../../core/model/routing-messages';
import { Failovers, type FailoversDependencies } from './failovers';

const HOUR_MS = 3_600_000;
const REGIONS: Record<string, string> = { 'fra-1': 'fra', 'ams-1': 'ams' };

const WELL = {
  neighbors: [],
  bfdPeers: [],
  services: [{ service: 'dns', stance: 'announce', announced: true, proven: true, why: [] }],
} as unknown as RoutingStatus;

/** A service of two regions; fra's only edge is missed for as long as the test says. */
function world() {
  const told: FailoverEvidence[] = [];
  const state = { ownerRevision: 70, holds: true, goneForMs: 0, healthy: false };
  const desired = {
    ready: true,
    unread: new Set(),
    serviceNames: () => ['dns'],
    service: () => ({ value: { resource: { spec: { regions: ['fra', 'ams'], nodes: {} } } } }),
    selected: () => Object.keys(REGIONS),
    of: () => ({
      spec: { services: [{ name: 'dns', commanded: { stance: 'announce' } }] },
      phase: 'active',
    }),
    inputs: (node: string) => ({
      node: { value: { resource: { metadata: { region: REGIONS[node] } } } },
    }),
    traffic: () => null,
  } as unknown as FailoversDependencies['desired'];
  const witness = (node: string, goneForMs: number | null): EdgeWitness => ({
    node,
    region: REGIONS[node] ?? '',
    goneForMs,
    unheard: false,
    status: null,
  });
  const fra = (): EdgeWitness =>
    state.healthy ? { ...witness('fra-1', null), status: WELL } : witness('fra-1', state.goneForMs);
  const failovers = new Failovers({
    desired,
    shards: {
      holds: () => state.holds,
      fence: (shard) => ({ clusterIncarnation: 1, shard, ownerRevision: state.ownerRevision }),
    },
    witnesses: { all: () => [fra(), witness('ams-1', null)] },
    tell: (_, evidence) => told.push(evidence),
  });
  return {
    state,
    told,
    failovers,
    look: (monotonicMs: number, wallMs: number) => failovers.look({ monotonicMs, wallMs }),
  };
}

test('the wall clock steps to either side: a region fails when its time has come, and not before', () => {
  const { state, told, look } = world();
  assert.equal(look(1_000, 5_000), GONE_AFTER_MS, 'after so long there may be something to tell');
  state.goneForMs = GONE_AFTER_MS;
  assert.equal(look(11_000, HOUR_MS), UNPROVEN_AFTER_MS, 'it was never seen to be well');
  look(12_000, 2 * HOUR_MS);
  assert.deepEqual(told, []);
  look(11_000 + UNPROVEN_AFTER_MS, 1);
  assert.deepEqual(
    told.map(({ region, state: is, atMs }) => [region, is, atMs]),
    [['fra', 'down', 1]],
  );
});

test('what is told bears the token of the owner, and its count', () => {
  const { state, told, look } = world();
  state.goneForMs = GONE_AFTER_MS;
  look(0, 0);
  look(UNPROVEN_AFTER_MS, 0);
  // Its shard is another's, and its own again.
  state.holds = false;
  look(UNPROVEN_AFTER_MS + 1, 0);
  Object.assign(state, { holds: true, ownerRevision: 90 });
  look(UNPROVEN_AFTER_MS + 2, 0);
  look(2 * UNPROVEN_AFTER_MS + 2, 0);
  assert.deepEqual(
    told.map(({ order }) => order),
    [
      { incarnation: 1, owner: 70, sequence: 1 },
      { incarnation: 1, owner: 90, sequence: 2 },
    ],
  );
});

test('what waits for Temporal no longer stands once the region is well, or the service is another one’s', () => {
  const { state, told, failovers, look } = world();
  const stands = (): boolean[] => told.map((each) => failovers.stands('dns', each));
  state.goneForMs = GONE_AFTER_MS;
  look(0, 0);
  look(UNPROVEN_AFTER_MS, 0);
  assert.deepEqual(stands(), [true]);
  state.holds = false;
  assert.deepEqual(stands(), [false], 'it is known before the next look');
  // Ours again before a look could tell: another one may have told what was so meanwhile.
  Object.assign(state, { holds: true, ownerRevision: 90 });
  assert.deepEqual(stands(), [false]);
  look(UNPROVEN_AFTER_MS + 1, 0);
  look(2 * UNPROVEN_AFTER_MS + 1, 0);
  assert.deepEqual(stands(), [false, true], 'it is told anew, as what it is now');
  state.healthy = true;
  look(2 * UNPROVEN_AFTER_MS + 2, 0);
  assert.deepEqual(
    told.map(({ state: is }) => is),
    ['down', 'down', 'up'],
  );
  assert.deepEqual(stands(), [false, false, true]);
});
