import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutServers } from '../../workers/controller/testing/cluster';
import { check } from './check';
import { type AuditCost, measure } from './measure';

test(
  'at rest nodes cost nothing, and an audit one activity a shard',
  { skip: withoutServers, timeout: 60_000 },
  async () => {
    const cost = await measure({ nodes: 20, restSeconds: 2, audits: 1 });
    assert.deepEqual(check([cost]), []);
  },
);

test('the checker fails on missing evidence and on a broken claim', () => {
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
  assert.notDeepEqual(check([]), []);
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
        { ...audit, activities: { auditShard: 5 } },
        { ...audit, differing: 1 },
      ],
    },
    {
      audits: [
        { ...audit, activities: {} },
        { ...audit, differing: 1 },
      ],
    },
    { rest: { seconds: 1, workflowsStarted: 0, historyEvents: 7 } },
    { rest: { seconds: 0, workflowsStarted: 0, historyEvents: 0 } },
  ];
  for (const change of broken) {
    assert.notDeepEqual(check([{ ...good, ...change }]), [], JSON.stringify(change));
  }
});
