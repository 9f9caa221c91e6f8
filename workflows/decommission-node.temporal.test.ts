import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { WORKFLOW_QUEUE, edgeQueue, workflowId } from '../core/model/ids';
import { messageNames, type NodeInput } from '../core/model/messages';
import { DEFAULT_REPAIR } from '../core/model/node';
import { STAGES } from '../core/plan/types';
import { withoutTemporal } from './testing/dev-server';
import { House } from './testing/house';
import { holdAt } from './testing/routing-house';
import { driftOf, type ScriptedEdge } from './testing/scripted';
import { until } from './testing/until';

const REMOVALS = [...STAGES].reverse().map((stage) => `remove ${stage}`);

describe('decommissionNode', { skip: withoutTemporal }, () => {
  let house: House;
  before(async () => {
    house = await House.open();
  });
  after(() => house.close());

  const start = (edge: ScriptedEdge, change: Partial<NodeInput> = {}) =>
    house.client.start('decommissionNode', {
      workflowId: workflowId.decommission(edge.node),
      taskQueue: WORKFLOW_QUEUE,
      args: [{ node: edge.node, revision: null, ...change }],
    });
  const startOnboard = (edge: ScriptedEdge) =>
    house.client.start('onboardNode', {
      workflowId: workflowId.onboard(edge.node),
      taskQueue: WORKFLOW_QUEUE,
      args: [{ node: edge.node, revision: null }],
    });
  const active = async (): Promise<ScriptedEdge> => {
    const edge = await house.node();
    await (await startOnboard(edge)).result();
    edge.calls.length = 0;
    return edge;
  };

  test('takes all away in reverse, verifies it, then the keys go and the life ends', async () => {
    const edge = await active();
    house.cluster.markDeleted(edge.node);
    const run = await start(edge);
    assert.equal((await run.result()).outcome, 'removed');
    assert.deepEqual(edge.calls, [...REMOVALS, 'reconcile all']);
    assert.deepEqual([...edge.present], []);
    assert.equal(house.cluster.nodes.has(edge.node), false);
    assert.equal(house.cluster.phases.has(edge.node), false);
    const lifecycle = house.client.getHandle(workflowId.lifecycle(edge.node));
    await until(
      'its life has ended',
      async () => (await lifecycle.describe()).status.name === 'COMPLETED',
    );
    await house.record(run, 'decommissionNode-happy');

    assert.equal((await (await start(edge)).result()).outcome, 'absent', 'twice is once');
  });

  test('a node that is not marked for deletion is refused', async () => {
    const edge = await active();
    const error: unknown = await (await start(edge)).result().then(
      () => null,
      (e: unknown) => e,
    );
    assert.ok(error instanceof WorkflowFailedError && error.cause instanceof ApplicationFailure);
    assert.equal(error.cause.type, 'NotMarkedForDeletion');
    assert.deepEqual(edge.calls, []);
  });

  test('stops an onboarding and a repair that are under way', async () => {
    const edge = await house.node();
    let free = (): void => {};
    const held = new Promise<void>((done) => (free = done));
    let arrived = false;
    edge.before = (call) => {
      if (call !== 'reconcile links') return;
      arrived = true;
      return held;
    };
    const onboard = await startOnboard(edge);
    await until('onboarding is at the links', () => arrived);
    const repair = await house.client.signalWithStart('repairNode', {
      workflowId: workflowId.repair(edge.node),
      taskQueue: WORKFLOW_QUEUE,
      args: [{ node: edge.node }],
      signal: messageNames.drift,
      signalArgs: [driftOf(edge.node, { policy: { ...DEFAULT_REPAIR, policy: 'propose' } })],
    });
    house.cluster.markDeleted(edge.node);
    const run = await start(edge);
    await until(
      'the repair was stopped',
      async () => (await repair.describe()).status.name === 'CANCELLED',
    );
    free();
    assert.equal((await run.result()).outcome, 'removed');
    assert.equal((await onboard.describe()).status.name, 'CANCELLED');
    assert.deepEqual([...edge.present], []);
    await house.record(repair, 'repairNode-cancelled');
  });

  test('a stage that can not be taken away yet is tried again, and the run says why', async () => {
    const edge = await active();
    house.cluster.markDeleted(edge.node);
    let busy = true;
    edge.before = (call) => {
      if (busy && call === 'remove routes') throw ApplicationFailure.nonRetryable('EBUSY');
    };
    const run = await start(edge);
    const details = await until('it waits', async () => {
      const metadata = await run.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
      return metadata.currentDetails?.includes('Trying again') && metadata.currentDetails;
    });
    assert.match(details, /EBUSY/);
    busy = false;
    assert.equal((await run.result()).outcome, 'removed');
    await house.record(run, 'decommissionNode-retried');
  });

  test('an edge that will never come back is left behind by force alone', async () => {
    const edge = await active();
    await house.stopWorker(edgeQueue(edge.node));
    house.cluster.markDeleted(edge.node);
    house.cluster.edges.delete(edge.node);
    const waiting = await start(edge);
    await until('it waits for the edge', () => house.cluster.calls.at(-1) === 'awaitEdge');
    const forced = await house.client.start('decommissionNode', {
      workflowId: workflowId.decommission(edge.node),
      workflowIdConflictPolicy: 'TERMINATE_EXISTING',
      taskQueue: WORKFLOW_QUEUE,
      args: [{ node: edge.node, revision: null, force: true }],
    });
    assert.equal((await forced.result()).outcome, 'removed');
    const { workflowId: id, firstExecutionRunId } = waiting;
    const former = await house.client.getHandle(id, firstExecutionRunId).describe();
    assert.equal(former.status.name, 'TERMINATED');
    assert.equal(house.cluster.nodes.has(edge.node), false);
    assert.deepEqual(edge.calls, []);
    await house.record(forced, 'decommissionNode-forced');
  });

  describe('that announces', () => {
    const announcing = async (): Promise<{ edge: ScriptedEdge; service: string }> => {
      const [edge, other] = [await active(), await active()];
      const service = `svc-${edge.node}`;
      house.routing.place(service, { [edge.node]: 'eu', [other.node]: 'us' }, { minAnnouncers: 2 });
      return { edge, service };
    };

    test('is drained first, below the floor as well: a person wants it gone', async () => {
      const { edge, service } = await announcing();
      const stances: unknown[] = [];
      edge.before = (call) => {
        if (call.startsWith('remove')) stances.push(house.routing.stanceOf(edge.node, service));
      };
      house.cluster.markDeleted(edge.node);
      const run = await start(edge);
      assert.equal((await run.result()).outcome, 'removed');
      assert.deepEqual([...new Set(stances)], ['withdraw']);
      assert.deepEqual(
        house.routing.written.filter((call) => call.includes(edge.node)),
        [`node ${edge.node} deprefer`, `node ${edge.node} withdraw`],
      );
      await house.record(run, 'decommissionNode-drained');
    });

    test('a drain that fails is tried again, and the run says why', async () => {
      const { edge, service } = await announcing();
      let busy = true;
      house.routing.before = (call) => {
        if (!busy || call !== `node ${edge.node} withdraw`) return;
        throw ApplicationFailure.nonRetryable('its shard stands still');
      };
      house.cluster.markDeleted(edge.node);
      const run = await start(edge);
      const details = await until('it waits', async () => {
        const metadata = await run.query<{ currentDetails?: string }>(
          '__temporal_workflow_metadata',
        );
        return metadata.currentDetails?.includes('Trying again') && metadata.currentDetails;
      });
      assert.match(details, /its shard stands still/);
      assert.equal(house.routing.stanceOf(edge.node, service), 'deprefer', 'nothing is taken back');
      busy = false;
      assert.equal((await run.result()).outcome, 'removed');
      house.routing.before = () => {};
      await house.record(run, 'decommissionNode-drainedLater');
    });

    test('cancelled while it is drained, it stands again as before', async () => {
      const { edge, service } = await announcing();
      const held = holdAt(house, (call) => call === 'seenAt');
      house.cluster.markDeleted(edge.node);
      const run = await start(edge);
      await held.reached;
      await run.cancel();
      held.free();
      house.routing.before = () => {};
      await assert.rejects(run.result());
      assert.equal(house.routing.stanceOf(edge.node, service), 'announce');
      const state = await house.temporal.lifecycleState(edge.node);
      assert.equal(state?.phase, 'active');
      assert.equal(state.holder, null);
    });
  });
});
