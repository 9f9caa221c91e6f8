import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { WorkflowUpdateFailedError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { WORKFLOW_QUEUE, workflowId } from '../core/model/ids';
import {
  messageNames,
  type DriftReport,
  type LifecycleState,
  type RepairInput,
} from '../core/model/messages';
import { DEFAULT_REPAIR } from '../core/model/node';
import { withoutTemporal } from './testing/dev-server';
import { EVENT } from './testing/history';
import { House } from './testing/house';
import { FINDING, driftOf, type ScriptedEdge } from './testing/scripted';
import { until } from './testing/until';

const propose = { ...DEFAULT_REPAIR, policy: 'propose' as const };
const globally = { local: false, node: false, global: true };

describe('repairNode', { skip: withoutTemporal }, () => {
  let house: House;
  before(async () => {
    house = await House.open();
  });
  after(() => house.close());

  /** As the controller hands a report on; completes soon instead of after 30 s. */
  const report = (
    edge: ScriptedEdge,
    change: Partial<DriftReport> = {},
    input: Partial<RepairInput> = { lingerMs: 100 },
  ): Promise<WorkflowHandle> =>
    house.client.signalWithStart('repairNode', {
      workflowId: workflowId.repair(edge.node),
      taskQueue: WORKFLOW_QUEUE,
      workflowTaskTimeout: '2s',
      args: [{ node: edge.node, ...input }],
      signal: messageNames.drift,
      signalArgs: [driftOf(edge.node, change)],
    });
  /** So that somebody is there to be told. */
  const bringToLife = (edge: ScriptedEdge): Promise<{ phaseRevision: number }> =>
    house.cluster.requestPhase(edge.node, 'onboarding', 'a test', null);
  const calls = (edge: ScriptedEdge, ...expected: string[]): Promise<boolean> =>
    until(`calls are ${expected.join(', ')}`, () => edge.calls.join() === expected.join());
  const life = (edge: ScriptedEdge): Promise<LifecycleState | null> =>
    house.temporal.lifecycleState(edge.node);
  const stateOf = async (run: WorkflowHandle): Promise<unknown> =>
    (await run.describe()).typedSearchAttributes.get({ name: 'AetherState', type: 'KEYWORD' });

  test('repairs what is reported, tells the life of the node, and completes', async () => {
    const edge = await house.node();
    await bringToLife(edge);
    const run = await report(edge, { revision: edge.accepted });
    const summary = await run.result();
    assert.equal(summary.repairs, 1);
    assert.deepEqual(edge.calls, ['reconcile all']);
    const [request] = edge.requests;
    assert.equal(request?.fence.workflowId, workflowId.repair(edge.node));
    assert.equal(request?.fence.revision, edge.accepted);
    assert.equal(request?.fence.planHash, null, 'auto is bound to no plan');
    const state = await until('the repair is on record', async () => {
      const now = await life(edge);
      return now?.repairs.length === 1 && now;
    });
    assert.equal(state.repairs[0]?.outcome, 'converged');
    assert.equal(state.repairs[0]?.by, 'workflow');
    assert.equal(await stateOf(run), 'converged');
    await house.record(run, 'repairNode-auto');
  });

  test('ten reports while one repair runs cost one more activity, not ten', async () => {
    const edge = await house.node();
    let free = (): void => {};
    const held = new Promise<void>((done) => (free = done));
    let arrived = false;
    edge.before = () => {
      arrived = true;
      return held;
    };
    const run = await report(edge, {}, { lingerMs: 500 });
    await until('the repair has begun', () => arrived);
    for (let i = 0; i < 10; i += 1) await report(edge, { planHash: `plan-${i}` });
    free();
    await run.result();
    assert.deepEqual(edge.calls, ['reconcile all', 'reconcile all']);
    await house.record(run, 'repairNode-coalesced');
  });

  test('a proposal waits, refuses another hash, and takes the right one', async () => {
    const edge = await house.node();
    const run = await report(edge, { policy: propose, planHash: 'abc' });
    await calls(edge, 'note propose');
    assert.equal(await stateOf(run), 'propose');
    await assert.rejects(house.temporal.approve(edge.node, 'abd', 'ada'), (error: unknown) => {
      assert.ok(error instanceof WorkflowUpdateFailedError);
      assert.ok(error.cause instanceof ApplicationFailure);
      assert.equal(error.cause.type, 'PlanChanged');
      assert.match(error.cause.message, /abc/);
      return true;
    });
    assert.deepEqual(await house.temporal.approve(edge.node, 'abc', 'ada'), { accepted: true });
    await run.result();
    assert.deepEqual(edge.calls, ['note propose', 'reconcile all']);
    assert.equal(edge.requests[0]?.fence.planHash, 'abc');
    await house.record(run, 'repairNode-approved');
  });

  test('a plan that changed after its approval is not run; the new one waits again', async () => {
    const edge = await house.node();
    edge.before = (call) => {
      if (call !== 'reconcile all') return;
      throw ApplicationFailure.nonRetryable('the host has changed', 'PlanChanged', {
        code: 'PlanChanged',
        node: edge.node,
        approvedHash: 'abc',
        planHash: 'abd',
      });
    };
    const run = await report(edge, { policy: propose, planHash: 'abc' }, { lingerMs: 2_000 });
    await calls(edge, 'note propose');
    await house.temporal.approve(edge.node, 'abc', 'ada');
    await until('the repair was refused', async () => (await stateOf(run)) === 'failed');
    edge.before = () => {};
    await report(edge, { policy: propose, planHash: 'abd' });
    await calls(edge, 'note propose', 'note propose');
    await house.temporal.approve(edge.node, 'abd', 'ada');
    await run.result();
    assert.equal(edge.requests[0]?.fence.planHash, 'abd');
  });

  test('frozen, nothing is repaired; once the freeze is lifted, what is there now is', async () => {
    const edge = await house.node();
    edge.findings = [FINDING];
    edge.frozen = globally;
    const run = await report(edge, { frozen: globally });
    await calls(edge, 'note frozen');
    await house.temporal.reconsider(edge.node);
    await calls(edge, 'note frozen', 'status', 'note frozen');
    assert.equal(await stateOf(run), 'frozen');
    edge.frozen = { ...globally, global: false };
    edge.accepted = 7;
    await house.temporal.reconsider(edge.node);
    await run.result();
    assert.deepEqual(edge.calls.slice(3), ['status', 'reconcile all']);
    assert.equal(edge.requests[0]?.fence.revision, 7);
    await house.record(run, 'repairNode-frozen');
  });

  test('an exhausted budget is escalated, waited out, and then it is tried again', async () => {
    const edge = await house.node();
    await bringToLife(edge);
    edge.findings = [FINDING];
    const freesAtMs = Date.now() + 1_500;
    const run = await report(edge, { revision: edge.accepted, budget: { used: 5, freesAtMs } });
    const state = await until('it is escalated', async () => {
      const now = await life(edge);
      return now?.escalation && now;
    });
    assert.match(state.escalation?.reason ?? '', /budget/);
    assert.deepEqual(edge.calls, ['note budgetExhausted']);
    await run.result();
    assert.ok(Date.now() >= freesAtMs);
    assert.deepEqual(edge.calls, ['note budgetExhausted', 'status', 'reconcile all']);
    await until('the escalation is over', async () => (await life(edge))?.escalation === null);
    await house.record(run, 'repairNode-budget');
  });

  test('somebody fights us: it stops and says who, and a person ends it', async () => {
    const edge = await house.node();
    await bringToLife(edge);
    const run = await report(edge, {
      suspect: 'ip (pid 4711)',
      recurring: { finding: 'linkMissing edge/edge0', times: 3 },
    });
    const state = await until('it is escalated', async () => {
      const now = await life(edge);
      return now?.escalation && now;
    });
    assert.equal(state.escalation?.suspect, 'ip (pid 4711)');
    assert.match(state.escalation?.reason ?? '', /undoes the repairs/);
    assert.deepEqual(edge.calls, ['note fighting']);
    await house.temporal.reconsider(edge.node);
    await run.result();
    assert.deepEqual(edge.calls, ['note fighting', 'status']);
    await house.record(run, 'repairNode-fighting');
  });

  test('an absent edge is not waited for; its next report starts anew', async () => {
    const edge = await house.node({ absent: true });
    const run = await report(edge, {}, { lingerMs: 60_000 });
    await until('it gave up', async () => (await stateOf(run)) === 'failed', 30_000);
    await house.startEdge(edge);
    assert.deepEqual(edge.calls, [], 'the repair that nobody took is not run later');
    await report(edge, { planHash: 'plan-2' });
    await calls(edge, 'reconcile all');
    await house.record(run, 'repairNode-absent');
    await run.terminate('the test is over');
  });

  test('what the agent repaired by itself is put on record', async () => {
    const edge = await house.node();
    await bringToLife(edge);
    const run = await report(edge, { policy: propose }, { lingerMs: 100 });
    await calls(edge, 'note propose');
    await run.signal(messageNames.repairedByAgent, {
      incidentId: driftOf(edge.node).incidentId,
      atMs: 1,
      decision: 'repair',
      outcome: 'converged',
      by: 'agent',
      findings: [],
      repairedInMs: 1_004,
    });
    await run.result();
    const state = await until('it is on record', async () => {
      const now = await life(edge);
      return now?.repairs.some(({ by }) => by === 'agent') && now;
    });
    assert.deepEqual(
      state.repairs.map(({ by }) => by),
      ['workflow', 'agent'],
    );
    assert.deepEqual(edge.calls, ['note propose']);
  });

  test('reports that come at the very end are not lost', async () => {
    const edge = await house.node();
    // Completes after 1 ms, so that each report meets a run that is just about to end.
    for (let sent = 0; sent < 40; sent += 1) {
      const incidentId = `inc-${sent}`;
      await report(edge, { incidentId }, { lingerMs: 1 });
      await until(`${incidentId} was acted on`, () =>
        edge.requests.some((request) => request.incidentId === incidentId),
      );
    }
  });

  test('nothing comes between a report and the start of its repair but the decision', async (t) => {
    const edge = await house.node();
    const tookMs: number[] = [];
    for (let i = 0; i < 20; i += 1) {
      const from = performance.now();
      edge.before = () => void tookMs.push(performance.now() - from);
      const run = await report(edge, { planHash: `plan-${i}` }, { lingerMs: 0 });
      await run.result();
      const { events } = await run.fetchHistory();
      const kinds = (events ?? []).map(({ eventType }) => Number(eventType));
      const { WORKFLOW_TASK_COMPLETED, ACTIVITY_TASK_SCHEDULED } = EVENT;
      const scheduled = kinds.indexOf(ACTIVITY_TASK_SCHEDULED);
      const tasks = kinds.slice(0, scheduled).filter((k) => k === WORKFLOW_TASK_COMPLETED);
      assert.equal(tasks.length, 1, 'the first workflow task sends the repair');
    }
    tookMs.sort((a, b) => a - b);
    t.diagnostic(
      `report → edge: p50 ${tookMs[10]?.toFixed(0)} ms, max ${tookMs[19]?.toFixed(0)} ms`,
    );
  });

  test('input is checked before anything is done', async () => {
    const run = await house.client.start('repairNode', {
      workflowId: `bad-repair-${process.pid}`,
      taskQueue: WORKFLOW_QUEUE,
      args: [{ node: 'fra-1', lingerMs: -1, colour: 'blue' }],
    });
    await assert.rejects(run.result(), (error: Error) => {
      assert.match(String((error.cause as Error).message), /unknown field colour/);
      return true;
    });
  });
});
