import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { EtcdClient } from '../../adapters/etcd/client';
import { SHARD_COUNT, shardQueue } from '../../core/model/ids';
import { keys } from '../../core/model/keys';
import type { NodeView } from '../../core/model/views';
import { shardOf } from '../../core/ring/shard';
import { until } from '../../workflows/testing/until';
import { Cluster, type SimEdge, withoutServers } from './testing/cluster';
import { nodeResource } from './testing/resources';

const skip = withoutServers;

async function view(cluster: Cluster, node: string): Promise<NodeView | null> {
  const views = await cluster.admin.get(node).catch(() => []);
  return views[0] ?? null;
}

async function whenActive(cluster: Cluster, node: string): Promise<NodeView> {
  return until(
    `${node} is active and converged`,
    async () => {
      const found = await view(cluster, node);
      return found?.phase === 'active' && found.converged ? found : null;
    },
    60_000,
  );
}

/** A controller with one edge that is active. */
async function withActiveEdge(t: TestContext, policy: 'auto' | 'propose' = 'auto') {
  const cluster = await Cluster.start(t);
  await cluster.startController();
  await cluster.ready();
  const edge = await cluster.startEdge('fra-1');
  await cluster.admin.apply([nodeResource('fra-1', 1, policy)], null);
  await whenActive(cluster, 'fra-1');
  return { cluster, edge };
}

const hasLink = (edge: SimEdge) => async () => (await edge.linkNames()).includes('edge0');

test(
  'a node is onboarded, repaired when it drifts, and taken away',
  { skip, timeout: 180_000 },
  async (t) => {
    const { cluster, edge } = await withActiveEdge(t);
    assert.ok((await edge.linkNames()).includes('edge0'));

    await t.test('what drifts is repaired by the workflow', async () => {
      await edge.deleteLink('edge0');
      await until('the link is there again', hasLink(edge));
      await whenActive(cluster, 'fra-1');
      const { lastRepair, whyNot } = await cluster.admin.explain('fra-1');
      assert.match(lastRepair ?? '', /^converged in \d+ ms at /);
      assert.equal(whyNot, null);
      await until('the life of the node knows of it', async () => {
        const { workflows, lifecycle } = await cluster.admin.describe('fra-1');
        const known = lifecycle?.repairs.at(-1)?.outcome === 'converged';
        return known && workflows.some(({ type }) => type === 'repairNode');
      });
    });

    await t.test('a new spec reaches the edge', async () => {
      const next = nodeResource('fra-1', 1);
      next.spec.namespaces[0]!.links[0]!.mtu = 1400;
      const [planned] = await cluster.admin.plan([next]);
      assert.deepEqual(planned?.differences, [
        'spec.namespaces[edge].links[edge0].mtu: 1500 -> 1400',
      ]);
      assert.deepEqual(planned?.steps, [
        'set MTU of edge0 to 1400',
        'set MTU of edge/eth0 to 1400',
      ]);
      await cluster.admin.apply([next], [planned.revision]);
      await until('the MTU is the new one', async () => {
        const { root } = await edge.observed();
        return root.links.find(({ name }) => name === 'edge0')?.mtu === 1400;
      });
      await assert.rejects(cluster.admin.apply([next], [planned.revision]), /ABORTED.*Plan again/);
    });

    await t.test('while frozen nothing is repaired, and unfreezing catches up', async () => {
      await cluster.admin.freeze('fra-1', true, 'a test');
      await until('frozen', async () => (await cluster.admin.describe('fra-1')).edge?.frozen.node);
      await edge.deleteLink('edge0');
      await until('the decision is known', async () => {
        const { whyNot, lastDecision } = await cluster.admin.explain('fra-1');
        return lastDecision?.includes('frozen') && whyNot === 'it is frozen: aether unfreeze fra-1';
      });
      assert.equal(await hasLink(edge)(), false);
      await cluster.admin.freeze('fra-1', false, 'done');
      await until('the link is there again', hasLink(edge));
      await whenActive(cluster, 'fra-1');
    });

    await t.test('deleted, it leaves nothing behind', async () => {
      const { workflowId } = await cluster.admin.delete('fra-1', false);
      assert.equal(workflowId, 'node/fra-1/decommission');
      await until('the node is gone', async () => (await cluster.admin.get()).length === 0, 60_000);
      await until('its workflows have ended', async () => (await cluster.running()).length === 0);
      const { root, namespaces, filters } = await edge.observed();
      assert.deepEqual(root.links, []);
      assert.deepEqual(namespaces, {});
      assert.deepEqual(
        filters.map(({ pin }) => pin),
        [null],
      );
    });
  },
);

test(
  'a proposed plan waits for the approval of exactly that plan',
  { skip, timeout: 120_000 },
  async (t) => {
    const { cluster, edge } = await withActiveEdge(t, 'propose');
    await edge.deleteLink('edge0');
    const waiting = await until('it waits for an approval', async () => {
      const { whyNot } = await cluster.admin.explain('fra-1');
      return /^it waits for an approval: aether approve fra-1 (\w+)$/.exec(whyNot ?? '')?.[1];
    });
    const audit = await cluster.audit();
    assert.deepEqual([audit.checked, audit.nodes[0]?.node], [1, 'fra-1']);
    assert.match(audit.nodes[0]?.why ?? '', /^drift inc-\w+ is open$/);
    await assert.rejects(
      cluster.admin.approve('fra-1', 'another'),
      /FAILED_PRECONDITION.*approve that one/,
    );
    assert.equal(await hasLink(edge)(), false);
    const { incidentId } = await cluster.admin.approve('fra-1', waiting);
    assert.match(incidentId, /^inc-/);
    await until('the link is there again', hasLink(edge));
    await whenActive(cluster, 'fra-1');
    assert.equal((await cluster.audit()).differing, 0);
  },
);

test(
  'a controller that was killed is back without waiting for its lease, with a higher fence',
  { skip, timeout: 120_000 },
  async (t) => {
    const { cluster, edge } = await withActiveEdge(t);
    const leases = () => cluster.log('controller').match(/"holding a lease"/g)?.length ?? 0;
    await cluster.stopController('SIGKILL');
    await edge.deleteLink('edge0');
    await cluster.startController();
    await until('it owns all shards', async () => {
      const { shardsOwned } = await cluster.admin.status();
      return shardsOwned === SHARD_COUNT;
    });
    const revoked = (): boolean =>
      cluster.log('controller').includes('revoking the lease of a former run');
    await until('its log says so', () => revoked() && leases() > 1);
    assert.equal(leases(), 2);
    // What drifted meanwhile was not lost.
    await until('the link is there again', hasLink(edge), 30_000);
    await whenActive(cluster, 'fra-1');
  },
);

test(
  'while Temporal is away nothing that edges report is lost',
  { skip, timeout: 120_000 },
  async (t) => {
    const { cluster, edge } = await withActiveEdge(t);
    cluster.wayToTemporal!.swallow(true);
    await edge.deleteLink('edge0');
    await until(
      'an operator is told',
      async () => {
        const { whyNot } = await cluster.admin.explain('fra-1');
        return whyNot?.startsWith('Temporal is not in reach');
      },
      30_000,
    );
    cluster.wayToTemporal!.swallow(false);
    await until('the link is there again', hasLink(edge), 60_000);
    await whenActive(cluster, 'fra-1');
    await until('the repair is told once', async () => {
      const { lifecycle } = await cluster.admin.describe('fra-1');
      return lifecycle?.repairs.filter(({ outcome }) => outcome === 'converged').length === 1;
    });
  },
);

test(
  'a node whose host is lost is removed by force, and may come back',
  { skip, timeout: 120_000 },
  async (t) => {
    const { cluster, edge } = await withActiveEdge(t);
    await edge.kill();
    await cluster.admin.delete('fra-1', false);
    await until('the removal waits for the edge', async () =>
      (await cluster.running()).includes('node/fra-1/decommission'),
    );
    await cluster.admin.delete('fra-1', true);
    await until('the node is gone', async () => (await cluster.admin.get()).length === 0, 30_000);
    await until('its workflows have ended', async () => (await cluster.running()).length === 0);
    await cluster.startEdge('fra-1');
    await cluster.admin.apply([nodeResource('fra-1', 1)], null);
    await whenActive(cluster, 'fra-1');
  },
);

test(
  'a removal that was cut after its keys were gone is served by the next controller',
  { skip, timeout: 120_000 },
  async (t) => {
    const { cluster, edge } = await withActiveEdge(t);
    await edge.kill();
    await cluster.admin.delete('fra-1', false);
    await until('the removal is open', async () =>
      (await cluster.running()).includes('node/fra-1/decommission'),
    );
    await cluster.stopController('SIGKILL');
    const etcd = new EtcdClient({ endpoints: cluster.etcd.urls, writer: 'test' });
    t.after(() => etcd.close());
    const gone = [keys.node('fra-1'), keys.phase('fra-1')];
    await etcd.write(
      [],
      gone.map((key) => ({ op: 'delete', key })),
    );
    const sinceMs = Date.now();
    await cluster.startController();
    // No node is left, and still the shard's activities have to be run.
    await until('its shard is served', () => cluster.polled(shardQueue(shardOf('fra-1')), sinceMs));
  },
);
