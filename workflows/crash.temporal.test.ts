import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { WorkflowHandle } from '@temporalio/client';
import { WORKFLOW_QUEUE, workflowId } from '../core/model/ids';
import type { Placement } from '../core/model/routing-messages';
import { messageNames } from '../core/model/messages';
import { STAGES } from '../core/plan/types';
import { shardOf } from '../core/ring/shard';
import { withoutTemporal } from './testing/dev-server';
import { House } from './testing/house';
import { QUICK, endOf, holdAt, inState, serving } from './testing/routing-house';
import { driftOf } from './testing/scripted';
import { until } from './testing/until';

/** Ends with this test, however that ends. */
async function spawnWorker(
  address: string,
  placement: Placement | null = null,
): Promise<ChildProcess> {
  const script = join(__dirname, 'testing/workflow-worker.js');
  const worker = [process.execPath, script, address, JSON.stringify(placement)];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...worker], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout ?? child, 'data');
  return child;
}

describe('a controller that dies', { skip: withoutTemporal }, () => {
  let house: House;
  before(async () => {
    house = await House.open();
    await house.stopWorker(WORKFLOW_QUEUE);
  });
  after(() => house.close());

  test('in the middle of an onboarding costs no stage and no undo', async () => {
    const edge = await house.node();
    const child = await spawnWorker(house.address);
    let free = (): void => {};
    const held = new Promise<void>((done) => (free = done));
    let arrived = false;
    edge.before = (call) => {
      if (call !== 'reconcile addresses') return;
      arrived = true;
      return held;
    };
    const run = await house.client.start('onboardNode', {
      workflowId: workflowId.onboard(edge.node),
      taskQueue: WORKFLOW_QUEUE,
      workflowTaskTimeout: '2s',
      args: [{ node: edge.node, revision: null }],
    });
    await until('it is at the addresses', () => arrived, 30_000);
    child.kill('SIGKILL');
    await once(child, 'exit');
    free();
    await house.startWorkflows();
    assert.equal((await run.result()).outcome, 'active');
    assert.deepEqual(
      edge.calls,
      STAGES.map((stage) => `reconcile ${stage}`),
    );
    await house.record(run, 'onboardNode-killed');
    await house.stopWorker(WORKFLOW_QUEUE);
  });

  test('with reports on the way loses none of them', async () => {
    const edge = await house.node();
    const report = (n: number) =>
      house.client.signalWithStart('repairNode', {
        workflowId: workflowId.repair(edge.node),
        taskQueue: WORKFLOW_QUEUE,
        workflowTaskTimeout: '2s',
        args: [{ node: edge.node, lingerMs: 500 }],
        signal: messageNames.drift,
        signalArgs: [driftOf(edge.node, { planHash: `plan-${n}` })],
      });
    const child = await spawnWorker(house.address);
    await report(0);
    await until('the first is repaired', () => edge.calls.length === 1, 30_000);
    child.kill('SIGKILL');
    await once(child, 'exit');
    for (let n = 1; n < 4; n += 1) await report(n);
    await house.startWorkflows();
    await until('the later ones are repaired', () => edge.calls.length === 2);
    await house.client.getHandle(workflowId.repair(edge.node)).result();
    assert.equal(edge.calls.length, 2, 'three reports of one difference are one repair');
  });

  /** Kills the Worker while peers are asked, and lets another one go on. */
  async function killedAtPeers(
    placement: Placement,
    start: () => Promise<WorkflowHandle>,
  ): Promise<WorkflowHandle> {
    const child = await spawnWorker(house.address, placement);
    const held = holdAt(house, (call) => call === 'seenAt');
    const run = await start();
    await held.reached;
    child.kill('SIGKILL');
    await once(child, 'exit');
    await house.startWorkflows();
    held.free();
    house.routing.before = () => {};
    return run;
  }

  test('in the middle of a drain commands nothing twice, and takes nothing back', async () => {
    await house.startWorkflows();
    const [one = ''] = await serving(house, 'drained', ['eu', 'us']);
    await house.stopWorker(WORKFLOW_QUEUE);
    const placement = await house.routing.placement({ node: one });
    const run = await killedAtPeers(placement, () =>
      house.client.start('drainNode', {
        workflowId: workflowId.drain(one),
        taskQueue: WORKFLOW_QUEUE,
        workflowTaskTimeout: '2s',
        args: [{ node: one, reason: 'a new kernel', by: 'ada', timings: QUICK }],
      }),
    );
    assert.equal((await endOf(run)).outcome, 'drained');
    assert.deepEqual(house.routing.written, [`node ${one} deprefer`, `node ${one} withdraw`]);
    await house.record(run, 'drainNode-killed');
    await house.stopWorker(WORKFLOW_QUEUE);
  });

  test('in the middle of a failover leaves the service served', async () => {
    await house.startWorkflows();
    const service = 'moved';
    await house.startShard(shardOf(service));
    const regions = [
      { name: 'eu', weight: 1 },
      { name: 'us', weight: 0 },
    ];
    const nodes = await serving(house, service, ['eu', 'us'], { regions });
    await house.stopWorker(WORKFLOW_QUEUE);
    const placement = await house.routing.placement({ service });
    const evidence = { atMs: Date.now(), region: 'eu', state: 'down', what: 'BFD down' };
    const run = await killedAtPeers(placement, () =>
      house.client.start('bgpFailover', {
        workflowId: workflowId.failover(service),
        taskQueue: WORKFLOW_QUEUE,
        workflowTaskTimeout: '2s',
        args: [{ service, evidence, by: 'controller', timings: QUICK }],
      }),
    );
    await inState(run, 'failedOver');
    const stances = nodes.map((node) => house.routing.stanceOf(node, service));
    assert.deepEqual(stances, ['withdraw', 'announce']);
    await house.record(run, 'bgpFailover-killed');
    await house.stopWorker(WORKFLOW_QUEUE);
  });
});
