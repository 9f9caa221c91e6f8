import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutServers } from '../../workers/controller/testing/cluster';
import { isMet } from '../common/figures';
import { check } from './check';
import { figuresOf } from './figures';
import { type AuditCost, measure } from './measure';

test(
  'at rest nodes cost nothing, and an audit one activity a shard',
  { skip: withoutServers, timeout: 60_000 },
  async () => {
    const cost = await measure({ nodes: 20, restSeconds: 2, audits: 1 });
    assert.deepEqual(check([cost]), []);
    for (const figure of figuresOf([cost])) assert.ok(isMet(figure), JSON.stringify(figure));
  },
);

test('missing evidence is refused, a broken claim is seen', () => {
  const audit = {
    checked: 4,
    differing: 0,
    unaudited: 0,
    activities: { auditShard: 4 },
    localActivities: 1,
    timers: 0,
    events: 20,
    historyBytes: 1,
    tookMs: 1,
    controllerCpuMs: 1,
  };
  const good: AuditCost = {
    nodes: 4,
    shardsWithNodes: 4,
    rest: { seconds: 1, workflowsStarted: 0, historyEvents: 0 },
    audits: [audit, { ...audit, differing: 1 }],
  };
  assert.deepEqual(check([good]), []);
  assert.deepEqual(figuresOf([good]).map(isMet), [true, true]);
  assert.notDeepEqual(check([]), []);
  const busy = { seconds: 1, workflowsStarted: 0, historyEvents: 7 };
  const dear = { ...audit, activities: { auditShard: 5 } };
  assert.deepEqual(figuresOf([{ ...good, rest: busy, audits: [dear] }]).map(isMet), [false, false]);
  const broken: Partial<AuditCost>[] = [
    { audits: [] },
    { audits: [audit] },
    { audits: [audit, audit] },
    {
      audits: [
        { ...audit, checked: 3 },
        { ...audit, differing: 1 },
      ],
    },
    {
      audits: [
        { ...audit, activities: {} },
        { ...audit, differing: 1 },
      ],
    },
    { rest: { seconds: 0, workflowsStarted: 0, historyEvents: 0 } },
  ];
  for (const change of broken) {
    assert.notDeepEqual(check([{ ...good, ...change }]), [], JSON.stringify(change));
  }
});
