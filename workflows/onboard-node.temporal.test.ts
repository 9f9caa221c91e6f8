import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { WORKFLOW_QUEUE, edgeQueue, workflowId } from '../core/model/ids';
import { STAGES } from '../core/plan/types';
import type { LifecycleState, NodeInput } from '../core/model/messages';
import type { RoutingStep } from '../core/model/routing-messages';
import { withoutTemporal } from './testing/dev-server';
import { House } from './testing/house';
import type { ScriptedEdge } from './testing/scripted';
import { until } from './testing/until';

describe('onboardNode', { skip: withoutTemporal }, () => {
  let house: House;
  before(async () => {
    house = await House.open();
  });
  after(async () => {
    for (const release of releases) release();
    await house.close();
  });

  const start = (edge: ScriptedEdge, change: Partial<NodeInput> = {}) =>
    house.client.start('onboardNode', {
      workflowId: workflowId.onboard(edge.node),
      taskQueue: WORKFLOW_QUEUE,
      workflowTaskTimeout: '2s',
      args: [{ node: edge.node, revision: null, ...change }],
    });
  const life = (edge: ScriptedEdge): Promise<LifecycleState | null> =>
    house.temporal.lifecycleState(edge.node);
  const failure = async (result: Promise<unknown>): Promise<ApplicationFailure> => {
    const error: unknown = await result.then(
      () => null,
      (e: unknown) => e,
    );
    assert.ok(error instanceof WorkflowFailedError, String(error));
    assert.ok(error.cause instanceof ApplicationFailure, String(error.cause));
    return error.cause;
  };
  const wait = (edge: ScriptedEdge, call: string): Promise<boolean> =>
    until(`${edge.node} is asked to ${call}`, () => edge.calls.includes(call));
  /** Holds the edge in one call until the returned function is called. */
  const holdAt = (edge: ScriptedEdge, call: string): { reached: Promise<void>; free(): void } => {
    let free = (): void => {};
    const released = new Promise<void>((done) => (free = done));
    let arrive = (): void => {};
    const reached = new Promise<void>((done) => (arrive = done));
    edge.before = async (now) => {
      if (now !== call) return;
      arrive();
      await released;
    };
    releases.push(() => free());
    return { reached, free: () => free() };
  };
  const releases: (() => void)[] = [];

  test('goes through the stages in order and leaves the node active', async () => {
    const edge = await house.node();
    const run = await start(edge);
    assert.equal((await run.result()).outcome, 'active');
    assert.deepEqual(
      edge.calls,
      STAGES.map((stage) => `reconcile ${stage}`),
    );
    const state = await life(edge);
    assert.equal(state?.phase, 'active');
    assert.equal(state?.holder, null);
    const { typedSearchAttributes } = await run.describe();
    const attribute = (name: string) => typedSearchAttributes.get({ name, type: 'KEYWORD' });
    assert.equal(attribute('AetherNode'), edge.node);
    assert.equal(attribute('AetherState'), 'active');
    await house.record(run, 'onboardNode-happy');
  });

  test('started for an active node it does nothing and says so', async () => {
    const edge = await house.node();
    await (await start(edge)).result();
    edge.calls.length = 0;
    assert.equal((await (await start(edge)).result()).outcome, 'alreadyActive');
    assert.deepEqual(edge.calls, []);
    assert.equal((await life(edge))?.phase, 'active');
  });

  test('a failing third stage takes back all three in reverse, the spec first', async () => {
    const edge = await house.node();
    const atUndo: unknown[] = [];
    edge.before = (call) => {
      if (call === 'remove addresses') atUndo.push(house.cluster.phases.get(edge.node)?.phase);
    };
    edge.result = ({ stages }) =>
      stages?.[0] === 'addresses' ? { outcome: 'partial', reason: '10.0.0.1/30 is foreign' } : {};
    const run = await start(edge);
    const failed = await failure(run.result());
    assert.equal(failed.type, 'OnboardFailed');
    assert.match(failed.message, /10\.0\.0\.1\/30 is foreign/);
    assert.deepEqual(edge.calls.slice(3), [
      'remove addresses',
      'remove links',
      'remove namespaces',
    ]);
    assert.deepEqual(atUndo, ['decommissioning'], 'the spec was retracted before the first undo');
    assert.deepEqual([...edge.present], []);
    const state = await life(edge);
    assert.equal(state?.phase, null);
    assert.equal(state?.holder, null);
    assert.equal(state?.escalation, null);
    await house.record(run, 'onboardNode-undone');
  });

  test('a step that took effect and then failed is undone as well', async () => {
    const edge = await house.node();
    edge.before = (call) => {
      if (call !== 'reconcile links') return;
      edge.present.add('links');
      throw ApplicationFailure.nonRetryable('the answer was lost');
    };
    await failure((await start(edge)).result());
    assert.deepEqual(edge.calls.slice(1), ['remove links', 'remove namespaces']);
    assert.deepEqual([...edge.present], []);
  });

  test('an undo that fails is an outcome of its own, names what is left, and the others are done', async () => {
    const edge = await house.node();
    edge.result = ({ stages }) => (stages?.[0] === 'routes' ? { outcome: 'partial' } : {});
    edge.before = (call) => {
      if (call === 'remove links') throw ApplicationFailure.nonRetryable('EBUSY on edge0');
    };
    const run = await start(edge);
    const failed = await failure(run.result());
    assert.equal(failed.type, 'UndoFailed');
    const [details] = failed.details as [{ undone: string[]; left: unknown }];
    assert.deepEqual(details.left, [{ what: 'links', why: 'EBUSY on edge0' }]);
    assert.deepEqual(details.undone, ['routes', 'addresses', 'namespaces']);
    assert.deepEqual([...edge.present], ['links']);
    const state = await life(edge);
    assert.equal(state?.phase, 'decommissioning');
    assert.equal(state?.holder, null);
    assert.match(state?.escalation?.reason ?? '', /take everything back/);
    await house.record(run, 'onboardNode-undoFailed');

    // Somebody removed what was in the way: the next try goes on from what is there.
    edge.result = () => ({});
    edge.before = () => {};
    assert.equal((await (await start(edge)).result()).outcome, 'active');
    assert.equal((await life(edge))?.escalation, null);
  });

  test('a cancelled run ends cancelled with nothing left, and no undo beside a running step', async () => {
    const edge = await house.node();
    const held = holdAt(edge, 'reconcile links');
    const run = await start(edge);
    await held.reached;
    await run.cancel();
    await until('the cancellation is on record', async () =>
      ((await run.fetchHistory()).events ?? []).some(
        (e) => e.workflowExecutionCancelRequestedEventAttributes,
      ),
    );
    assert.deepEqual(edge.calls, ['reconcile namespaces']);
    held.free();
    const error = await run.result().then(
      () => null,
      (e: unknown) => e,
    );
    assert.ok(error instanceof WorkflowFailedError);
    assert.equal((await run.describe()).status.name, 'CANCELLED');
    assert.equal(edge.calls[1], 'reconcile links');
    assert.deepEqual(edge.calls.slice(-2), ['remove links', 'remove namespaces']);
    assert.deepEqual([...edge.present], []);
    await house.record(run, 'onboardNode-cancelled');
  });

  test('an edge that never comes ends it, with nothing to take back', async () => {
    const edge = await house.node({ absent: true });
    house.cluster.edges.delete(edge.node);
    const run = await start(edge, { edgeWaitMs: 300 });
    const failed = await failure(run.result());
    assert.equal(failed.type, 'OnboardFailed');
    assert.match(failed.message, /is not connected/);
    assert.deepEqual(edge.calls, []);
    assert.equal((await life(edge))?.phase, null);
  });

  test('a spec that changes meanwhile is followed from the first stage on', async () => {
    const edge = await house.node();
    let edited = false;
    edge.before = (call) => {
      if (call !== 'reconcile routes' || edited) return;
      edited = true;
      house.cluster.edit(edge.node);
    };
    const run = await start(edge);
    const result = await run.result();
    assert.equal(result.outcome, 'active');
    const stages = STAGES.map((stage) => `reconcile ${stage}`);
    assert.deepEqual(edge.calls, [...stages.slice(0, 3), ...stages]);
    assert.equal(result.revision, edge.requests.at(-1)?.fence.revision);
    await house.record(run, 'onboardNode-specChanged');
  });

  test('a phase in living hands is refused; from dead hands it is taken over', async () => {
    const edge = await house.node();
    const held = holdAt(edge, 'reconcile namespaces');
    const first = await start(edge);
    await held.reached;
    const second = await house.client.start('onboardNode', {
      workflowId: `${first.workflowId}/again`,
      taskQueue: WORKFLOW_QUEUE,
      args: [{ node: edge.node, revision: null }],
    });
    const refused = await failure(second.result());
    assert.equal(refused.type, 'PhaseConflict');
    assert.match(refused.message, new RegExp(first.workflowId));
    assert.equal((await life(edge))?.holder, first.workflowId);

    await first.terminate('its machine burned down');
    held.free();
    edge.before = () => {};
    const third = await house.client.start('onboardNode', {
      workflowId: `${first.workflowId}/again`,
      taskQueue: WORKFLOW_QUEUE,
      args: [{ node: edge.node, revision: null }],
    });
    assert.equal((await third.result()).outcome, 'active');
    await house.record(second, 'onboardNode-phaseConflict');
  });

  test('declared again before its removal has let go of it, it is waited for', async () => {
    const edge = await house.node();
    await (await start(edge)).result();
    const held = holdAt(edge, 'remove links');
    house.cluster.markDeleted(edge.node);
    const removal = await house.client.start('decommissionNode', {
      workflowId: workflowId.decommission(edge.node),
      taskQueue: WORKFLOW_QUEUE,
      args: [{ node: edge.node, revision: null }],
    });
    await held.reached;
    const again = await start(edge);
    await until('it waits', async () => {
      const { typedSearchAttributes } = await again.describe();
      return typedSearchAttributes.get({ name: 'AetherState', type: 'KEYWORD' }) === 'waiting';
    });
    held.free();
    await until('its keys are gone', () => !house.cluster.nodes.has(edge.node));
    house.cluster.add(edge);
    assert.equal((await removal.result()).outcome, 'removed');
    assert.equal((await again.result()).outcome, 'active');
    assert.deepEqual([...edge.present], STAGES);
    await house.record(again, 'onboardNode-afterRemoval');
  });

  test('an agent that is away for a moment is waited for', async () => {
    const edge = await house.node();
    edge.before = async (call) => {
      if (call === 'reconcile namespaces') void house.stopWorker(edgeQueue(edge.node));
    };
    const run = await start(edge);
    await wait(edge, 'reconcile namespaces');
    await house.stopWorker(edgeQueue(edge.node));
    await house.startEdge(edge);
    assert.equal((await run.result()).outcome, 'active');
    assert.deepEqual([...edge.present], [...STAGES]);
  });

  test('input is checked before anything is done', async () => {
    const run = await house.client.start('onboardNode', {
      workflowId: `bad-input-${process.pid}`,
      taskQueue: WORKFLOW_QUEUE,
      args: [{ node: 'Not A Name', revision: -1 }],
    });
    const failed = await failure(run.result());
    assert.equal(failed.type, 'InvalidInput');
    assert.match(failed.message, /DNS label/);
  });

  describe('with BGP', () => {
    const speaking = async (): Promise<{ edge: ScriptedEdge; service: string }> => {
      const edge = await house.node();
      const other = await house.node();
      const service = `svc-${edge.node}`;
      house.cluster.neighbors.set(edge.node, ['192.0.2.1']);
      house.routing.place(service, { [edge.node]: 'eu', [other.node]: 'us' });
      return { edge, service };
    };

    test('sessions are up before it is active, the prefix is seen at a peer after', async () => {
      const { edge, service } = await speaking();
      const stances: unknown[] = [];
      edge.before = (call) => {
        if (call.startsWith('reconcile')) stances.push(house.routing.stanceOf(edge.node, service));
      };
      // What was commanded of a former node of this name.
      const former = { stance: 'withdraw', reason: 'it was removed', by: 'x', atMs: 1 } as const;
      house.routing.commands.set(edge.node, former);
      let commandedIn: unknown = null;
      house.routing.before = (call) => {
        if (call === `node ${edge.node} announce`) {
          commandedIn = house.cluster.phases.get(edge.node)?.phase;
        }
      };
      const run = await start(edge);
      const { outcome, steps } = await run.result();
      house.routing.before = () => {};
      assert.equal(commandedIn, 'onboarding', 'an active node is for others to command');
      assert.equal(outcome, 'active');
      assert.deepEqual(
        steps.map((step: RoutingStep) => `${step.what}: ${step.outcome}`),
        [
          'BGP and BFD are up: done',
          `command ${edge.node}: announce: done`,
          `${edge.node} announces: announce: done`,
          'seen at a peer: done',
        ],
      );
      assert.match(steps[0].evidence, /192\.0\.2\.1 established/);
      assert.equal(house.routing.stanceOf(edge.node, service), 'announce');
      assert.equal((await life(edge))?.phase, 'active');
      await house.record(run, 'onboardNode-commanded');
    });

    test('a router that is not there yet keeps no host from being built', async () => {
      const { edge, service } = await speaking();
      house.routing.set(edge.node, { alive: false });
      const run = await start(edge);
      await until('it waits for the session', async () => {
        const { raw } = await run.describe();
        return raw.pendingActivities?.some((a) => a.activityType?.name === 'awaitSessions');
      });
      assert.equal((await life(edge))?.phase, 'onboarding');
      house.routing.set(edge.node, { alive: true });
      assert.equal((await run.result()).outcome, 'active');
      assert.equal(house.routing.stanceOf(edge.node, service), 'announce');
    });
  });
});
