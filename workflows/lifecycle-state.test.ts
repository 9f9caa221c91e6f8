import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PHASES, type Phase } from '../core/model/edge-spec';
import type { LifecycleState, RepairRecord } from '../core/model/messages';
import {
  INITIAL,
  REPAIRS_KEPT,
  isRelease,
  record,
  refusedGrant,
  released,
} from './lifecycle-state';

const held = (phase: Phase | null, holder: string | null): LifecycleState => ({
  ...INITIAL,
  phase,
  holder,
  phaseRevision: phase === null ? 0 : 7,
});

/** Rows: from; columns: to, in the order of PHASES. `x`: granted. */
const TABLE = `
               onboarding active draining quarantined decommissioning
null           x          .      .        .           x
onboarding     x          x      .        .           x
active         .          x      x        x           x
draining       .          x      x        x           x
quarantined    .          x      x        x           x
decommissioning x         .      .        .           x
`;

test('which phase may follow which', () => {
  const [, ...rows] = TABLE.trim().split('\n');
  assert.equal(rows.length, PHASES.length + 1);
  for (const row of rows) {
    const [from, ...marks] = row.trim().split(/\s+/);
    for (const [i, phase] of PHASES.entries()) {
      const state = held(from === 'null' ? null : (from as Phase), null);
      const refused = refusedGrant(state, { phase, holder: 'me' });
      assert.equal(refused === null, marks[i] === 'x', `${from} → ${phase}`);
      if (refused !== null) assert.equal(refused.why, 'order');
    }
  }
});

test('a grant needs free hands: nobody, oneself, or the dead holder that is named', () => {
  const grant = { phase: 'decommissioning', holder: 'me' } as const;
  const by = (holder: string | null, takeOver: string | null = null) =>
    refusedGrant(held('active', holder), { ...grant, takeOver });
  assert.equal(by(null), null);
  assert.equal(by('me'), null);
  assert.equal(by('other', 'other'), null);
  assert.deepEqual(by('other'), { why: 'held', holder: 'other' });
  assert.deepEqual(by('other', 'third'), { why: 'held', holder: 'other' });
});

test('who may release: the holder; once more whoever did; and anybody where all is forgotten', () => {
  const release = (state: LifecycleState): boolean =>
    isRelease(state, { holder: 'me', outcome: 'done', next: 'active' });
  assert.equal(release(held('onboarding', 'me')), true);
  assert.equal(release(held('onboarding', 'other')), false);
  assert.equal(release(held('active', null)), true, 'it was done already');
  assert.equal(
    release(held('onboarding', null)),
    false,
    'somebody else released it to another end',
  );
  assert.equal(release(INITIAL), true);
});

test('a failure that leaves a phase behind needs a person; one that cleaned up does not', () => {
  const state = held('decommissioning', 'me');
  const failed = { holder: 'me', outcome: 'failed' } as const;
  assert.match(
    released(state, { ...failed, next: 'decommissioning' }, 9).escalation?.reason ?? '',
    /^me failed/,
  );
  assert.equal(released(state, { ...failed, next: null }, 9).escalation, null);
  assert.equal(released(state, { ...failed, next: null }, 9).holder, null);
});

const ended = (change: Partial<RepairRecord>): RepairRecord => ({
  incidentId: 'inc-1',
  atMs: 1,
  decision: 'repair',
  outcome: 'converged',
  by: 'workflow',
  findings: [],
  repairedInMs: null,
  ...change,
});

test('an escalation keeps its beginning, and only a repair that converged ends it', () => {
  const stuck = { outcome: 'none', decision: 'budgetExhausted' } as const;
  let state = record(INITIAL, ended({ ...stuck, reason: 'used up' }), 100);
  state = record(state, ended({ ...stuck, decision: 'fighting', suspect: 'ip' }), 200);
  assert.deepEqual(state.escalation, { sinceMs: 100, reason: 'fighting', suspect: 'ip' });
  state = record(state, ended({ outcome: 'partial' }), 300);
  assert.ok(state.escalation);
  assert.equal(record(state, ended({}), 400).escalation, null);
});

test('what is kept is bounded, newest last', () => {
  let state = INITIAL;
  for (let n = 0; n < REPAIRS_KEPT + 5; n += 1) state = record(state, ended({ atMs: n }), n);
  assert.equal(state.repairs.length, REPAIRS_KEPT);
  assert.equal(state.repairs.at(-1)?.atMs, REPAIRS_KEPT + 4);
});

test('the same answer about the same drift is kept once, a repair tried again is not', () => {
  const frozen = { incidentId: 'inc-a', decision: 'frozen', outcome: 'none' } as const;
  const failed = { incidentId: 'inc-a', decision: 'repair', outcome: 'none' } as const;
  let state = INITIAL;
  for (const atMs of [1, 2, 3]) state = record(state, ended({ ...frozen, atMs }), atMs);
  assert.deepEqual(
    state.repairs.map(({ atMs }) => atMs),
    [3],
  );
  for (const atMs of [4, 5]) state = record(state, ended({ ...failed, atMs }), atMs);
  state = record(state, ended({ ...frozen, incidentId: 'inc-b', atMs: 6 }), 6);
  assert.deepEqual(
    state.repairs.map(({ atMs }) => atMs),
    [3, 4, 5, 6],
  );
});
