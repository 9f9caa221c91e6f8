/** A node that was taken away and is declared again, its agent alive all the while. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { EdgeLocalClient } from '../../adapters/edge-local/client';
import { until } from '../../workflows/testing/until';
import { Cluster, withoutServers } from './testing/cluster';
import { nodeResource } from './testing/resources';

const NODE = 'fra-1';

test(
  'a node comes back when it is declared again; where its onboarding failed, that is told and mended by an audit',
  { skip: withoutServers, timeout: 180_000 },
  async (t) => {
    const cluster = await Cluster.start(t);
    await cluster.startController();
    await cluster.ready();
    const edge = await cluster.startEdge(NODE);
    const { admin } = cluster;
    const view = async () => (await admin.get())[0];
    const whenActive = () =>
      until(
        'active and converged',
        async () => {
          const found = await view();
          return found?.phase === 'active' && found.converged ? found : null;
        },
        40_000,
      );
    /** Until the agent has heard that nobody wants it. */
    using local = new EdgeLocalClient(join(cluster.directory, `${NODE}.sock`));
    const takenAway = async (times: number): Promise<void> => {
      await admin.delete(NODE, false);
      const left = await until(
        'it has left its controller',
        async () => {
          const { controller } = await local.status();
          return controller.connected ? null : controller;
        },
        40_000,
      );
      assert.match(left.why ?? '', /node fra-1 was removed; to have it back, declare it again/);
      await until('the node is gone', async () => (await admin.get()).length === 0, 40_000);
      await until('its agent was refused', () => {
        const refusals = cluster.log(NODE).split('was removed; to have it back').length - 1;
        return refusals >= times;
      });
    };

    await admin.apply([nodeResource(NODE, 1)], null);
    await whenActive();
    await takenAway(1);
    await admin.apply([nodeResource(NODE, 1)], null);
    assert.equal((await whenActive()).onboardFailed, null);

    await takenAway(2);
    await edge.refuse('the kernel has no memory for it');
    await admin.apply([nodeResource(NODE, 1)], null);
    const failed = await until(
      'it is told that its onboarding failed',
      async () => {
        const found = await view();
        return found?.onboardFailed == null ? null : found;
      },
      60_000,
    );
    assert.match(failed.onboardFailed ?? '', /^Not onboarded.*the kernel has no memory for it/);
    assert.match(failed.note ?? '', /^its onboarding failed: Not onboarded/);
    assert.equal(failed.converged, false);
    assert.match((await admin.explain(NODE)).whyNot ?? '', /^its onboarding failed/);

    await edge.refuse(null);
    await admin.audit();
    const mended = await whenActive();
    assert.equal(mended.onboardFailed, null);
    assert.doesNotMatch(mended.note ?? '', /onboarding/);
  },
);
