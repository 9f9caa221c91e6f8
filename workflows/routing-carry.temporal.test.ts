/** Runs that last begin anew with all they know: here after every few events. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { WORKFLOW_QUEUE, workflowId } from '../core/model/ids';
import { messageNames } from '../core/model/messages';
import { shardOf } from '../core/ring/shard';
import type { bgpFailover } from './bgp-failover';
import type { quarantineNode } from './quarantine-node';
import { withoutTemporal } from './testing/dev-server';
import { House } from './testing/house';
import { QUICK, endOf, inState, serving } from './testing/routing-house';
import { until as eventually } from './testing/until';

describe('runs of routing that last', { skip: withoutTemporal }, () => {
  let house: House;
  let others = 0;
  before(async () => {
    house = await House.open(['limit.historyCount.suggestContinueAsNew=30']);
  });
  after(() => house.close());

  test('a failover that begins anew goes on where it was, and returns', async () => {
    const service = 'carried';
    await house.startShard(shardOf(service));
    const regions = [
      { name: 'eu', weight: 1 },
      { name: 'us', weight: 0 },
    ];
    const nodes = await serving(house, service, ['eu', 'us'], { regions });
    const told = (state: 'up' | 'down') => ({ atMs: Date.now(), region: 'eu', state, what: state });
    const timings = { ...QUICK, holdDownMs: 50, stageMs: 50, settleMs: 50 };
    const id = workflowId.failover(service);
    const first = await house.client.start<typeof bgpFailover>('bgpFailover', {
      workflowId: id,
      taskQueue: WORKFLOW_QUEUE,
      args: [{ service, evidence: told('down'), by: 'controller', timings }],
    });
    const run = house.client.getHandle<typeof bgpFailover>(id);
    await inState(run, 'failedOver');
    assert.notEqual((await run.describe()).runId, first.firstExecutionRunId, 'it is another run');
    const written = house.routing.written.length;
    await run.signal(messageNames.evidence, told('up'));
    assert.equal((await endOf(run)).outcome, 'returned');
    const stances = nodes.map((node) => house.routing.stanceOf(node, service));
    assert.deepEqual(stances, ['announce', 'withdraw']);
    assert.equal(house.routing.written.length - written, 5, 'each command once');
  });

  test('a hold-down ends when it would have ended in the run before', async () => {
    const service = 'held-down';
    await house.startShard(shardOf(service));
    const regions = [
      { name: 'eu', weight: 1 },
      { name: 'us', weight: 0 },
    ];
    await serving(house, service, ['eu', 'us'], { regions });
    const told = (region: string, state: 'up' | 'down') => {
      return { atMs: Date.now(), region, state, what: state };
    };
    const timings = { ...QUICK, holdDownMs: 3_600_000, stageMs: 50, settleMs: 50 };
    const id = workflowId.failover(service);
    await house.client.start<typeof bgpFailover>('bgpFailover', {
      workflowId: id,
      taskQueue: WORKFLOW_QUEUE,
      args: [{ service, evidence: told('eu', 'down'), by: 'controller', timings }],
    });
    const run = house.client.getHandle<typeof bgpFailover>(id);
    await inState(run, 'failedOver');
    await run.signal(messageNames.evidence, told('eu', 'up'));
    const { next } = await inState(run, 'holdDown');
    const { runId } = await run.describe();
    // News of others moves nothing, but fills the history.
    await eventually('it is another run', async () => {
      await run.signal(messageNames.evidence, told(`other-${++others}`, 'up'));
      return (await run.describe()).runId !== runId;
    });
    assert.equal((await inState(run, 'holdDown')).next?.atMs, next?.atMs);
    await run.terminate('a test');
  });

  test('a quarantine whose penalty goes on rising begins anew, and is released', async () => {
    const [node = ''] = await serving(house, 'kept', ['eu', 'eu', 'eu']);
    const id = workflowId.quarantine(node);
    const until = (n: number) => ({
      node,
      reason: 'it flaps',
      untilMs: Date.now() + 3_600_000 + n,
      timings: { ...QUICK, stageMs: 50 },
    });
    const first = await house.client.start<typeof quarantineNode>('quarantineNode', {
      workflowId: id,
      taskQueue: WORKFLOW_QUEUE,
      args: [until(0)],
    });
    const run = house.client.getHandle<typeof quarantineNode>(id);
    await inState(run, 'quarantined');
    for (let n = 1; n < 4; n += 1) await run.signal(messageNames.penalty, until(n));
    await eventually(
      'it is another run',
      async () => (await run.describe()).runId !== first.firstExecutionRunId,
    );
    await inState(run, 'quarantined');
    await run.signal(messageNames.release, { by: 'ada', reason: 'repaired' });
    assert.equal((await endOf(run)).outcome, 'releasedByHand');
    assert.equal(house.routing.stanceOf(node, 'kept'), 'announce');
    const mine = house.routing.written.filter((call) => call.includes(node));
    assert.deepEqual(
      mine,
      ['deprefer', 'withdraw', 'deprefer', 'announce'].map((to) => `node ${node} ${to}`),
    );
  });
});
