import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { WORKFLOW_QUEUE, workflowId } from '../core/model/ids';
import { messageNames, type DriftReport } from '../core/model/messages';
import { DEFAULT_REPAIR } from '../core/model/node';
import { withoutTemporal } from './testing/dev-server';
import { House } from './testing/house';
import { driftOf, type ScriptedEdge } from './testing/scripted';
import { until } from './testing/until';

describe('repairNode over many reports', { skip: withoutTemporal }, () => {
  let house: House;
  before(async () => {
    // Low, so that continue-as-new comes within a test.
    house = await House.open(['limit.historyCount.suggestContinueAsNew=30']);
  });
  after(() => house.close());

  const report = (edge: ScriptedEdge, change: Partial<DriftReport>) =>
    house.client.signalWithStart('repairNode', {
      workflowId: workflowId.repair(edge.node),
      taskQueue: WORKFLOW_QUEUE,
      args: [{ node: edge.node, lingerMs: 1_000 }],
      signal: messageNames.drift,
      signalArgs: [driftOf(edge.node, change)],
    });

  test('continues as new, and each burst is still answered by a repair of its last report', async () => {
    const edge = await house.node();
    const runs = new Set<string>();
    for (let burst = 0; burst < 12; burst += 1) {
      const revision = burst + 1;
      const sent = await Promise.all([1, 2, 3].map(() => report(edge, { revision })));
      for (const { signaledRunId } of sent) runs.add(signaledRunId);
      await until(`burst ${burst} is repaired`, () =>
        edge.requests.some(({ fence }) => fence.revision === revision),
      );
    }
    const [first] = runs;
    const handle = house.client.getHandle(workflowId.repair(edge.node), first);
    assert.equal((await handle.describe()).status.name, 'CONTINUED_AS_NEW');
    assert.ok(edge.calls.length <= 36);
    await house.record(handle, 'repairNode-continued');
  });

  test('a proposal is carried into the next run, and can be approved there', async () => {
    const edge = await house.node();
    const policy = { ...DEFAULT_REPAIR, policy: 'propose' as const };
    const first = await report(edge, { policy });
    const id = workflowId.repair(edge.node);
    await until('it continued as new', async () => {
      await house.client.getHandle(id).signal(messageNames.drift, driftOf('of another node'));
      await report(edge, { policy });
      return (await house.client.getHandle(id).describe()).runId !== first.signaledRunId;
    });
    await until('it proposes', () => edge.calls.at(-1) === 'note propose');
    assert.deepEqual(await house.temporal.approve(edge.node, 'plan-1', 'ada'), { accepted: true });
    await until('it is repaired', () => edge.calls.at(-1) === 'reconcile all');
    assert.equal(edge.requests.at(-1)?.fence.planHash, 'plan-1');
    await house.client.getHandle(id).result();
  });
});
