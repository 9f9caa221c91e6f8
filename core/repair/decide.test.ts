import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Decision, DriftReport } from '../model/messages';
import { DEFAULT_REPAIR } from '../model/node';
import type { Finding } from '../plan/types';
import { decide, FIGHTING_TIMES } from './decide';

const NOW = 1_000_000;

const finding = (conflict: boolean): Finding => ({
  kind: 'linkMissing',
  object: conflict ? 'edge/theirs' : 'edge/edge0',
  message: 'does not exist',
  conflict,
});

const report = (over: Partial<DriftReport> = {}): DriftReport => ({
  node: 'fra-1',
  incidentId: 'inc-aaaaaaaaaaaaaaaa',
  revision: 1,
  specHash: 's',
  planHash: 'p',
  findings: [finding(false)],
  cause: 'kernel',
  kernelAtMs: NOW,
  detectedAtMs: NOW,
  suspect: 'ip (pid 4711)',
  plan: [],
  policy: DEFAULT_REPAIR,
  frozen: { local: false, node: false, global: false },
  budget: { used: 0, freesAtMs: null },
  recurring: null,
  ...over,
});

const policy = (word: 'auto' | 'propose' | 'report'): DriftReport['policy'] => ({
  ...DEFAULT_REPAIR,
  policy: word,
});

const FROZEN = { local: false, node: true, global: false };
const FIGHT = { finding: 'linkMissing edge/edge0', times: FIGHTING_TIMES };
const SPENT = { used: 5, freesAtMs: NOW + 60_000 };
const AGREED = [{ planHash: 'p', by: 'me' }];
const STALE = [{ planHash: 'q', by: 'me' }];

const cases: [string, Partial<DriftReport>, typeof AGREED, Decision][] = [
  ['auto repairs', {}, [], { kind: 'repair' }],
  ['report reports', { policy: policy('report') }, [], { kind: 'report' }],
  ['propose asks', { policy: policy('propose') }, [], { kind: 'propose', planHash: 'p' }],
  ['propose, agreed', { policy: policy('propose') }, AGREED, { kind: 'repair' }],
  [
    'an approval of another plan is none',
    { policy: policy('propose') },
    STALE,
    { kind: 'propose', planHash: 'p' },
  ],
  ['frozen node', { frozen: FROZEN }, [], { kind: 'frozen', scope: 'node' }],
  [
    'frozen on the edge itself',
    { frozen: { local: true, node: false, global: false } },
    [],
    { kind: 'frozen', scope: 'node' },
  ],
  [
    'frozen everywhere',
    { frozen: { local: true, node: true, global: true } },
    [],
    { kind: 'frozen', scope: 'global' },
  ],
  ['freeze holds an approval', { frozen: FROZEN }, AGREED, { kind: 'frozen', scope: 'node' }],
  ['freeze holds a spec', { frozen: FROZEN, cause: 'spec' }, [], { kind: 'frozen', scope: 'node' }],
  [
    'strangers only',
    { findings: [finding(true)] },
    [],
    { kind: 'conflict', finding: 'linkMissing edge/theirs' },
  ],
  ['strangers beside ours', { findings: [finding(true), finding(false)] }, [], { kind: 'repair' }],
  [
    'strangers cannot be approved away',
    { findings: [finding(true)] },
    AGREED,
    { kind: 'conflict', finding: 'linkMissing edge/theirs' },
  ],
  [
    'a new spec is its own consent',
    { cause: 'spec', policy: policy('propose') },
    [],
    { kind: 'repair' },
  ],
  ['a new spec needs no budget', { cause: 'spec', budget: SPENT }, [], { kind: 'repair' }],
  [
    'somebody fights us',
    { recurring: FIGHT },
    [],
    { kind: 'fighting', ...FIGHT, suspect: 'ip (pid 4711)' },
  ],
  [
    'not yet a fight',
    { recurring: { ...FIGHT, times: FIGHTING_TIMES - 1 } },
    [],
    { kind: 'repair' },
  ],
  ['a person may go on fighting', { recurring: FIGHT }, AGREED, { kind: 'repair' }],
  [
    'budget spent',
    { budget: SPENT },
    [],
    { kind: 'budgetExhausted', attempts: 5, nextAtMs: NOW + 60_000 },
  ],
  ['budget just freed', { budget: { used: 5, freesAtMs: NOW } }, [], { kind: 'repair' }],
  ['budget spent, but agreed', { budget: SPENT }, AGREED, { kind: 'repair' }],
];

for (const [name, over, approvals, expected] of cases) {
  test(name, () => {
    assert.deepEqual(decide(report(over), approvals, NOW), expected);
  });
}
