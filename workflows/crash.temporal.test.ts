import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { WORKFLOW_QUEUE, workflowId } from '../core/model/ids';
import { messageNames } from '../core/model/messages';
import { STAGES } from '../core/plan/types';
import { withoutTemporal } from './testing/dev-server';
import { House } from './testing/house';
import { driftOf } from './testing/scripted';
import { until } from './testing/until';

/** Ends with this test, however that ends. */
async function spawnWorker(address: string): Promise<ChildProcess> {
  const script = join(__dirname, 'testing/workflow-worker.js');
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, script, address], {
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
});
