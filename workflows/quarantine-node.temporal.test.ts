import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, rootCause } from '@temporalio/common';
import type { Stance } from '../core/model/anycast';
import { WORKFLOW_QUEUE, workflowId } from '../core/model/ids';
import { type LifecycleState, messageNames } from '../core/model/messages';
import type { RoutingEvent } from '../core/model/routing';
import type { QuarantineInput } from '../core/model/routing-messages';
import type { quarantineNode } from './quarantine-node';
import { withoutTemporal } from './testing/dev-server';
import { House } from './testing/house';
import { QUICK, endOf, failureOf, holdAt, inState, serving } from './testing/routing-house';
import { until } from './testing/until';

const TIMINGS = { ...QUICK, stageMs: 100 };
const HOUR_MS = 3_600_000;

describe('quarantineNode', { skip: withoutTemporal }, () => {
  let house: House;
  let names = 0;
  before(async () => {
    house = await House.open();
  });
  afterEach(() => {
    house.routing.before = () => {};
    house.routing.observed = true;
  });
  after(() => house.close());

  const start = (node: string, change: Partial<QuarantineInput> = {}) =>
    house.client.start<typeof quarantineNode>('quarantineNode', {
      workflowId: workflowId.quarantine(node),
      taskQueue: WORKFLOW_QUEUE,
      workflowTaskTimeout: '2s',
      args: [
        { node, reason: 'it flaps', untilMs: Date.now() + HOUR_MS, timings: TIMINGS, ...change },
      ],
    });
  const life = async (node: string): Promise<LifecycleState> => {
    const state = await house.temporal.lifecycleState(node);
    assert.ok(state);
    return state;
  };
  const placed = async (count: number): Promise<{ name: string; nodes: string[] }> => {
    const name = `q-${++names}`;
    return { name, nodes: await serving(house, name, new Array<string>(count).fill('eu')) };
  };
  const hand = { by: 'ada', reason: 'the cable was replaced' };

  test('with headroom it is withdrawn; it ends by its time, in stages', async () => {
    const { name, nodes } = await placed(3);
    const [one = ''] = nodes;
    const run = await start(one, { untilMs: Date.now() + 1_500 });
    const { next } = await inState(run, 'quarantined');
    assert.equal(next?.what, 'release');
    assert.equal(house.routing.stanceOf(one, name), 'withdraw');
    assert.equal((await life(one)).phase, 'quarantined');
    assert.equal((await life(one)).holder, null, 'a drain may take it over');
    const { outcome } = await endOf(run);
    assert.equal(outcome, 'released');
    assert.equal(house.routing.stanceOf(one, name), 'announce');
    assert.equal((await life(one)).phase, 'active');
    assert.deepEqual(
      house.routing.written.filter((call) => call.includes(one)),
      ['deprefer', 'withdraw', 'deprefer', 'announce'].map((to) => `node ${one} ${to}`),
    );
    await house.record(run, 'quarantineNode-released');
  });

  test('near the floor it stays the last choice and says so; released by hand', async () => {
    const { name, nodes } = await placed(2);
    const [one = ''] = nodes;
    const run = await start(one);
    const { steps } = await inState(run, 'quarantined');
    assert.equal(house.routing.stanceOf(one, name), 'deprefer');
    assert.match(steps.at(-1)?.evidence ?? '', /stays the last choice: .* its floor is 1/);
    await run.signal(messageNames.release, hand);
    assert.equal((await endOf(run)).outcome, 'releasedByHand');
    assert.equal(house.routing.stanceOf(one, name), 'announce');
    assert.equal((await life(one)).phase, 'active');
    await house.record(run, 'quarantineNode-byHand');
  });

  test('what flaps again during its return goes back', async () => {
    const { name, nodes } = await placed(3);
    const [one = ''] = nodes;
    const run = await start(one, {
      untilMs: Date.now() + 500,
      timings: { ...TIMINGS, stageMs: 5_000 },
    });
    await inState(run, 'returning');
    const again = { node: one, reason: 'again', untilMs: Date.now() + HOUR_MS };
    await run.signal(messageNames.penalty, again);
    await inState(run, 'quarantined');
    assert.equal(house.routing.stanceOf(one, name), 'withdraw');
    assert.equal((await life(one)).phase, 'quarantined');
    await run.cancel();
    assert.ok((await failureOf(run.result())) instanceof CancelledFailure);
    assert.equal(house.routing.stanceOf(one, name), 'announce');
    assert.equal((await life(one)).phase, 'active');
    await house.record(run, 'quarantineNode-relapsed');
  });

  test('a drain takes the node over, and the quarantine leaves it alone', async () => {
    const { name, nodes } = await placed(3);
    const [one = ''] = nodes;
    const run = await start(one);
    await inState(run, 'quarantined');
    const drain = await house.client.start('drainNode', {
      workflowId: workflowId.drain(one),
      taskQueue: WORKFLOW_QUEUE,
      args: [{ node: one, reason: 'a new kernel', by: 'ada', timings: QUICK }],
    });
    await endOf(drain);
    await run.signal(messageNames.release, hand);
    assert.equal((await endOf(run)).outcome, 'superseded');
    assert.equal(house.routing.stanceOf(one, name), 'withdraw');
    assert.equal((await life(one)).phase, 'draining');
    assert.deepEqual(
      house.routing.written.filter((call) => call.includes(one)),
      ['deprefer', 'withdraw'].map((to) => `node ${one} ${to}`),
      'it was not announced in between',
    );
    await house.record(run, 'quarantineNode-superseded');
  });

  const undrain = async (node: string): Promise<void> => {
    const run = await house.client.start('drainNode', {
      workflowId: workflowId.drain(node),
      taskQueue: WORKFLOW_QUEUE,
      args: [{ node, reason: 'it is needed', by: 'ada', undo: true, force: true, timings: QUICK }],
    });
    await endOf(run);
  };

  test('what a person brings back is not withdrawn behind their back, but when it flaps again', async () => {
    const { name, nodes } = await placed(3);
    const [one = ''] = nodes;
    const held = holdAt(house, (call) => call === 'seenAt');
    const run = await start(one);
    await held.reached;
    house.routing.observed = false;
    await undrain(one);
    held.free();
    await inState(run, 'quarantined');
    assert.equal(house.routing.stanceOf(one, name), 'announce');
    assert.equal((await life(one)).phase, 'active');
    const again = { node: one, reason: 'again', untilMs: Date.now() + 2 * HOUR_MS };
    await run.signal(messageNames.penalty, again);
    await until('it is away', () => house.routing.stanceOf(one, name) === 'withdraw');
    assert.equal((await life(one)).phase, 'quarantined');
    await run.cancel();
    await failureOf(run.result());
    assert.equal(house.routing.stanceOf(one, name), 'announce');
  });

  test('what fails when a person has the node back is told, and leaves it alone', async () => {
    const { name, nodes } = await placed(3);
    const [one = ''] = nodes;
    let arrived = false;
    let free = (): void => {};
    const held = new Promise<void>((done) => (free = done));
    house.routing.before = async (call) => {
      if (call !== `node ${one} withdraw`) return;
      arrived = true;
      await held;
      throw ApplicationFailure.nonRetryable('its shard stands still');
    };
    const run = await start(one);
    await until('it is to be withdrawn', () => arrived);
    await undrain(one);
    free();
    assert.equal(rootCause(await failureOf(run.result())), 'its shard stands still');
    assert.equal(house.routing.stanceOf(one, name), 'announce');
    const { phase, escalation } = await life(one);
    assert.deepEqual({ phase, escalation }, { phase: 'active', escalation: null });
    await house.record(run, 'quarantineNode-failed');
  });

  test('a node that announces nothing has nothing to be kept from', async () => {
    const { node } = await house.node();
    const run = await start(node);
    assert.equal((await endOf(run)).outcome, 'nothingToDo');
  });

  describe('started by the life of the node', () => {
    let sequence = 0;
    const losses = (count: number, cause: 'path' | 'administrative' = 'path'): RoutingEvent[] =>
      Array.from({ length: count }, () => ({
        sequence: ++sequence,
        atMs: Date.now(),
        kind: 'bfdDown' as const,
        peer: '192.0.2.1',
        diagnostic: 'Control Detection Time Expired',
        cause,
      }));
    const tell = (node: string, events: RoutingEvent[]): Promise<void> =>
      house.client
        .getHandle(workflowId.lifecycle(node))
        .signal(messageNames.routingEvents, { events });
    const quarantine = (node: string): WorkflowHandle<typeof quarantineNode> =>
      house.client.getHandle(workflowId.quarantine(node));
    const running = (node: string): Promise<boolean> =>
      house.cluster.isRunning(workflowId.quarantine(node));

    test('when an upstream is lost too often; penalties, half-life and release are told', async () => {
      const { nodes } = await placed(3);
      const [one = ''] = nodes;
      const events = losses(2);
      await tell(one, events);
      await tell(one, events);
      await tell(one, losses(20, 'administrative'));
      const [before] = (await life(one)).penalties ?? [];
      assert.ok((before?.penalty ?? 0) > 1_900 && (before?.penalty ?? 0) <= 2_000, 'each once');
      assert.equal(before?.reuseAtMs, null);
      assert.equal(await running(one), false);

      await tell(one, losses(2));
      await until('it is quarantined', () => running(one));
      const { penalties, quarantine: told } = await life(one);
      const [penalty] = penalties ?? [];
      assert.equal(penalty?.upstream, '192.0.2.1');
      assert.equal(penalty.halfLifeMs, 120_000);
      assert.equal(penalty.reuseAtMs, told?.untilMs);
      assert.match(told?.reason ?? '', /192\.0\.2\.1: penalty \d+ \(bfdDown, /);
      const { next } = await inState(quarantine(one), 'quarantined');
      assert.equal(next?.atMs, told?.untilMs);

      await tell(one, losses(3));
      await until('the release has moved', async () => {
        const now = await life(one);
        const { next: later } = await inState(quarantine(one), 'quarantined');
        return later?.atMs === now.quarantine?.untilMs && later?.atMs !== next?.atMs;
      });

      await quarantine(one).signal(messageNames.release, hand);
      await endOf(quarantine(one));
      const released = await life(one);
      assert.deepEqual(released.penalties, [], 'forgiven');
      assert.equal(released.quarantine, null);
      assert.equal(released.phase, 'active');
      await house.record(
        house.client.getHandle(workflowId.lifecycle(one)),
        'nodeLifecycle-quarantine',
      );
    });

    test('drift and crashes of the agent count as well, each drift once', async () => {
      const { nodes } = await placed(3);
      const [one = ''] = nodes;
      const handle = house.client.getHandle(workflowId.lifecycle(one));
      const record = (incidentId: string, cause: 'kernel' | 'spec') => ({
        incidentId,
        atMs: Date.now(),
        decision: 'repair',
        outcome: 'converged',
        by: 'workflow',
        findings: [],
        repairedInMs: 5,
        cause,
      });
      await handle.signal(messageNames.repairEnded, record('inc-a', 'kernel'));
      await handle.signal(messageNames.repairEnded, record('inc-a', 'kernel'));
      await handle.signal(messageNames.repairEnded, record('inc-b', 'spec'));
      await tell(one, [
        { sequence: ++sequence, atMs: Date.now(), kind: 'agentCrash', reason: 'killed' },
      ]);
      const [penalty] = (await life(one)).penalties ?? [];
      assert.equal(penalty?.upstream, '*');
      assert.deepEqual(
        penalty.causes.map(({ cause, weight }) => `${cause} ${weight}`),
        ['drift 250', 'agentCrash 500'],
      );
      await house.record(handle, 'nodeLifecycle-drift');
    });

    test('what came back a short time ago does not come back again by time, but by hand', async () => {
      const { name, nodes } = await placed(3);
      const [one = ''] = nodes;
      const stance = (from: Stance, to: Stance): RoutingEvent => ({
        sequence: ++sequence,
        atMs: Date.now(),
        kind: 'stance',
        service: name,
        from,
        to,
        why: 'as commanded',
      });
      await tell(one, [stance('announce', 'withdraw'), stance('withdraw', 'announce')]);
      const run = await start(one, { untilMs: Date.now() + 500 });
      const { next } = await until('the release has moved', async () => {
        const now = await inState(run, 'quarantined');
        return (now.next?.atMs ?? 0) > Date.now() + 800_000 && now;
      });
      assert.equal(next?.what, 'release');
      assert.equal(house.routing.stanceOf(one, name), 'withdraw');
      assert.equal((await life(one)).holder, null);
      await run.signal(messageNames.release, hand);
      const { outcome, steps } = await endOf(run);
      assert.equal(outcome, 'releasedByHand');
      assert.ok(
        steps.some(({ evidence }) => /a router that damps may mute it/.test(evidence ?? '')),
      );
    });
  });
});
