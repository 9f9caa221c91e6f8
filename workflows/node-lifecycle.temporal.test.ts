import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { workflowId } from '../core/model/ids';
import { messageNames, type LifecycleState, type RepairRecord } from '../core/model/messages';
import { withoutTemporal } from './testing/dev-server';
import { House } from './testing/house';
import type { ScriptedEdge } from './testing/scripted';
import { until } from './testing/until';

const repair = (n: number, change: Partial<RepairRecord> = {}): RepairRecord => ({
  incidentId: `inc-${n}`,
  atMs: n,
  decision: 'repair',
  outcome: 'converged',
  by: 'workflow',
  findings: [],
  repairedInMs: 50,
  ...change,
});

describe('nodeLifecycle', { skip: withoutTemporal }, () => {
  let house: House;
  before(async () => {
    // Low, so that continue-as-new comes within a test.
    house = await House.open(['limit.historyCount.suggestContinueAsNew=100']);
  });
  after(() => house.close());

  const handle = (edge: ScriptedEdge) => house.client.getHandle(workflowId.lifecycle(edge.node));
  const state = async (edge: ScriptedEdge): Promise<LifecycleState> => {
    const now = await house.temporal.lifecycleState(edge.node);
    assert.ok(now);
    return now;
  };
  const refused = async (update: Promise<unknown>): Promise<ApplicationFailure> => {
    const error: unknown = await update.then(
      () => null,
      (e: unknown) => e,
    );
    assert.ok(error instanceof WorkflowUpdateFailedError, String(error));
    assert.ok(error.cause instanceof ApplicationFailure);
    return error.cause;
  };

  test('one holder at a time; the phase is in etcd before the grant is given', async () => {
    const { cluster } = house;
    const edge = await house.node();
    const { phaseRevision } = await cluster.requestPhase(edge.node, 'onboarding', 'a', null);
    assert.deepEqual(cluster.phases.get(edge.node), {
      phase: 'onboarding',
      revision: phaseRevision,
    });
    const failure = await refused(cluster.requestPhase(edge.node, 'decommissioning', 'b', null));
    assert.equal(failure.type, 'PhaseConflict');
    assert.match(failure.message, /in the hands of a/);
    assert.deepEqual(await cluster.requestPhase(edge.node, 'onboarding', 'a', null), {
      phaseRevision,
    });
    await refused(cluster.releasePhase(edge.node, 'b', 'done', 'active'));
    await cluster.releasePhase(edge.node, 'a', 'done', 'active');
    await cluster.releasePhase(edge.node, 'a', 'done', 'active');
    assert.equal((await state(edge)).phase, 'active');
    assert.equal(
      (await refused(cluster.requestPhase(edge.node, 'onboarding', 'c', null))).type,
      'PhaseConflict',
    );
    await cluster.requestPhase(edge.node, 'decommissioning', 'c', null);
    await house.record(handle(edge), 'nodeLifecycle-phases');
  });

  test('of two grants at once one is given', async () => {
    const edge = await house.node();
    const asked = ['a', 'b', 'c'].map((holder) =>
      house.cluster.requestPhase(edge.node, 'onboarding', holder, null),
    );
    const given = (await Promise.allSettled(asked)).filter(({ status }) => status === 'fulfilled');
    assert.equal(given.length, 1);
  });

  test('only the dead holder that is named is taken over from', async () => {
    const edge = await house.node();
    await house.cluster.requestPhase(edge.node, 'onboarding', 'dead', null);
    await refused(house.cluster.requestPhase(edge.node, 'decommissioning', 'b', 'somebody else'));
    await house.cluster.requestPhase(edge.node, 'decommissioning', 'b', 'dead');
    assert.equal((await state(edge)).holder, 'b');
  });

  /** Holds what is written of one node until `free`; `asked` counts, refused ones as well. */
  const holdWrites = (edge: ScriptedEdge) => {
    const { cluster } = house;
    const asked: (string | null)[] = [];
    let free = (): void => {};
    const freed = new Promise<void>((done) => (free = done));
    const write = cluster.writePhase.bind(cluster);
    cluster.writePhase = async (node, phase, expected) => {
      if (node === edge.node) asked.push(phase);
      if (node === edge.node) await freed;
      return write(node, phase, expected);
    };
    const restore = (): void => void Reflect.deleteProperty(cluster, 'writePhase');
    return { asked, free, restore };
  };
  const accepted = (edge: ScriptedEdge, count: number) =>
    until(`${count} updates are accepted`, async () => {
      const { events } = await handle(edge).fetchHistory();
      const updates = events?.filter((e) => e.workflowExecutionUpdateAcceptedEventAttributes);
      return updates?.length === count;
    });

  test('what is released twice at once is written once', async () => {
    const edge = await house.node();
    const held = holdWrites(edge);
    try {
      const grant = house.cluster.requestPhase(edge.node, 'onboarding', 'a', null);
      await until('it is written', () => held.asked.length === 1);
      const releases = [1, 2].map(() =>
        house.cluster.releasePhase(edge.node, 'a', 'done', 'active'),
      );
      await accepted(edge, 3);
      held.free();
      await Promise.all([grant, ...releases]);
      assert.deepEqual(held.asked, ['onboarding', 'active']);
    } finally {
      held.restore();
    }
    await house.record(handle(edge), 'nodeLifecycle-twice');
  });

  test('the release of a holder that is gone leaves the next one alone', async () => {
    const edge = await house.node();
    await house.cluster.requestPhase(edge.node, 'onboarding', 'gone', null);
    const held = holdWrites(edge);
    try {
      const late = house.cluster.releasePhase(edge.node, 'gone', 'done', 'active');
      await until('it is written', () => held.asked.length === 1);
      const grant = house.cluster.requestPhase(edge.node, 'decommissioning', 'next', 'gone');
      await accepted(edge, 3);
      held.free();
      await Promise.all([late, grant]);
    } finally {
      held.restore();
    }
    const { holder, phase } = await state(edge);
    assert.deepEqual({ holder, phase }, { holder: 'next', phase: 'decommissioning' });
    await house.cluster.releasePhase(edge.node, 'next', 'failed', 'decommissioning');
    await house.record(handle(edge), 'nodeLifecycle-takenOver');
  });

  test('after the loss of its history it takes what etcd says, and does not start over', async () => {
    const edge = await house.node();
    await house.cluster.requestPhase(edge.node, 'onboarding', 'a', null);
    await house.cluster.releasePhase(edge.node, 'a', 'done', 'active');
    await handle(edge).terminate('the database was restored');
    assert.equal(
      (await refused(house.cluster.requestPhase(edge.node, 'onboarding', 'a', null))).type,
      'PhaseConflict',
    );
    assert.equal(house.cluster.phases.get(edge.node)?.phase, 'active');
    const granted = await house.cluster.requestPhase(edge.node, 'decommissioning', 'b', null);
    assert.equal(house.cluster.phases.get(edge.node)?.revision, granted.phaseRevision);
    await house.record(handle(edge), 'nodeLifecycle-lostHistory');
  });

  test('escalates what needs a person, until a repair converges', async () => {
    const edge = await house.node();
    await house.cluster.requestPhase(edge.node, 'onboarding', 'a', null);
    const signal = (record: RepairRecord): Promise<void> =>
      handle(edge).signal(messageNames.repairEnded, record);
    await signal(
      repair(1, { decision: 'fighting', outcome: 'none', suspect: 'ip (pid 7)', reason: 'why' }),
    );
    const { escalation } = await state(edge);
    assert.equal(escalation?.suspect, 'ip (pid 7)');
    assert.equal(escalation?.reason, 'why');
    const { typedSearchAttributes } = await handle(edge).describe();
    const key = { name: 'AetherState', type: 'KEYWORD' } as const;
    assert.equal(typedSearchAttributes.get(key), 'escalated');
    await signal(repair(2, { decision: 'report', outcome: 'none' }));
    assert.ok((await state(edge)).escalation, 'silence does not end it');
    await signal(repair(3));
    assert.equal((await state(edge)).escalation, null);
  });

  test('continues as new with all it knows, and loses no signal on the way', async () => {
    const edge = await house.node();
    await house.cluster.requestPhase(edge.node, 'onboarding', 'a', null);
    const first = await handle(edge).describe();
    const count = 120;
    for (let n = 0; n < count; n += 10) {
      const burst = Array.from({ length: 10 }, (_, i) =>
        handle(edge).signal(messageNames.repairEnded, repair(n + i)),
      );
      await Promise.all(burst);
    }
    const now = await until('the last signal is on record', async () => {
      const s = await state(edge);
      return s.repairs.some(({ incidentId }) => incidentId === `inc-${count - 1}`) && s;
    });
    const ids = now.repairs.map(({ incidentId }) => incidentId);
    const last50 = Array.from({ length: 50 }, (_, i) => `inc-${count - 50 + i}`);
    assert.deepEqual([...ids].sort(), last50.sort(), 'the last 50, each once');
    assert.equal(now.phase, 'onboarding');
    assert.equal(now.holder, 'a');
    assert.notEqual((await handle(edge).describe()).runId, first.runId, 'it is another run by now');
    await house.cluster.releasePhase(edge.node, 'a', 'done', 'active');
    const firstRun = house.client.getHandle(workflowId.lifecycle(edge.node), first.runId);
    await house.record(firstRun, 'nodeLifecycle-continued');
  });

  test('ends with its node', async () => {
    const edge = await house.node();
    await house.cluster.requestPhase(edge.node, 'decommissioning', 'a', null);
    await house.cluster.releasePhase(edge.node, 'a', 'done', null);
    await handle(edge).result();
    assert.equal(house.cluster.phases.has(edge.node), false);
    await house.cluster.requestPhase(edge.node, 'onboarding', 'b', null);
    assert.equal((await state(edge)).holder, 'b', 'and begins anew with the next of its name');
  });
});
