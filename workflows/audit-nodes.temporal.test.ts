import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { WORKFLOW_QUEUE, workflowId } from '../core/model/ids';
import { shardOf } from '../core/ring/shard';
import type { AuditSummary } from './audit-nodes';
import { withoutTemporal } from './testing/dev-server';
import { activitiesOf } from './testing/history';
import { House } from './testing/house';
import { FINDING, ScriptedEdge } from './testing/scripted';

describe('auditNodes', { skip: withoutTemporal }, () => {
  let house: House;
  before(async () => {
    house = await House.open();
  });
  after(() => house.close());

  async function audit(): Promise<{ summary: AuditSummary; activities: string[] }> {
    const run = await house.client.start<() => Promise<AuditSummary>>('auditNodes', {
      workflowId: workflowId.audit(),
      taskQueue: WORKFLOW_QUEUE,
      args: [],
    });
    const summary = await run.result();
    const activities = activitiesOf(await run.fetchHistory());
    await house.record(run, `auditNodes-${summary.checked}`);
    return { summary, activities };
  }

  const populate = async (names: string[]): Promise<Set<number>> => {
    house.cluster.nodes.clear();
    for (const name of names) house.cluster.add(new ScriptedEdge(name));
    const shards = new Set(names.map(shardOf));
    for (const shard of shards) await house.startShard(shard);
    return shards;
  };

  test('four nodes cost an activity for each of their shards, and those that differ are named', async () => {
    const shards = await populate(['fra-1', 'fra-2', 'ams-1', 'ams-2']);
    const edge = house.cluster.edges.get('ams-1');
    assert.ok(edge);
    edge.findings = [FINDING];
    const { summary, activities } = await audit();
    assert.deepEqual(activities, Array(shards.size).fill('auditShard'));
    assert.equal(summary.checked, 4);
    assert.equal(summary.differing, 1);
    assert.deepEqual(
      summary.nodes.map(({ node }) => node),
      ['ams-1'],
    );
    assert.deepEqual(summary.unaudited, []);
  });

  test('two hundred nodes in ten shards cost ten activities', async () => {
    const wanted = new Set<number>();
    const names: string[] = [];
    for (let i = 0; names.length < 200; i += 1) {
      const shard = shardOf(`n${i}`);
      if (wanted.size < 10) wanted.add(shard);
      if (wanted.has(shard)) names.push(`n${i}`);
    }
    await populate(names);
    const { summary, activities } = await audit();
    assert.equal(summary.checked, 200);
    assert.equal(activities.length, 10);
  });

  test('no nodes, no activities', async () => {
    await populate([]);
    const { summary, activities } = await audit();
    assert.deepEqual(activities, []);
    assert.equal(summary.shards, 0);
  });

  test('a shard that fails is named, and holds nobody up', async () => {
    const [first] = await populate(['fra-1', 'ams-1']);
    assert.ok(first !== undefined);
    const { auditShard } = house.cluster;
    house.cluster.auditShard = async (shard) => {
      if (shard === first) throw new Error('etcd is away');
      return auditShard.call(house.cluster, shard);
    };
    const { summary } = await audit();
    house.cluster.auditShard = auditShard;
    assert.deepEqual(summary.unaudited, [{ shard: first, why: 'etcd is away' }]);
    assert.equal(summary.checked, 1);
  });
});
