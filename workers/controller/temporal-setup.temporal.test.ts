import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TemporalLink } from '../../adapters/temporal/connection';
import { connectTemporal } from '../../adapters/temporal/connection';
import { ensureAuditSchedule, ensureSearchAttributes } from '../../adapters/temporal/setup';
import { AUDIT_SCHEDULE, SEARCH_ATTRIBUTES } from '../../core/model/ids';
import { DevServer, withoutTemporal } from '../../workflows/testing/dev-server';
import { until } from '../../workflows/testing/until';

const namespace = 'aether-of-its-own';

/** A namespace in which nobody has set anything up. */
async function bareNamespace(server: DevServer): Promise<TemporalLink> {
  const config = { connectionOptions: { address: server.address } };
  const first = await connectTemporal(config, 'test');
  await first.connection.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
  });
  await first.connection.close();
  return until('the namespace is there', () =>
    connectTemporal({ ...config, namespace }, 'test').catch(() => null),
  );
}

test(
  'what a namespace needs is made once, and brought up to date',
  { skip: withoutTemporal, timeout: 60_000 },
  async (t) => {
    const server = await DevServer.start();
    t.after(() => server.stop());
    const link = await bareNamespace(server);
    t.after(() => link.connection.close());

    await t.test('search attributes', async () => {
      const registered = async () => {
        const { operatorService } = link.connection;
        const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
        return SEARCH_ATTRIBUTES.filter((name) => name in customAttributes);
      };
      assert.deepEqual(await registered(), []);
      assert.equal(await ensureSearchAttributes(link), true);
      await until(
        'they are registered',
        async () => (await registered()).length === SEARCH_ATTRIBUTES.length,
      );
      assert.equal(await ensureSearchAttributes(link), true);
    });

    await t.test('the schedule of audits', async () => {
      await ensureAuditSchedule(link, 900_000);
      const schedule = link.client.schedule.getHandle(AUDIT_SCHEDULE);
      await schedule.pause('by hand');
      await ensureAuditSchedule(link, 60_000);
      const { spec, policies, state, action } = await schedule.describe();
      assert.equal(spec.intervals?.[0]?.every, 60_000);
      assert.deepEqual([policies.overlap, policies.catchupWindow], ['SKIP', 60_000]);
      assert.equal(state.paused, true, 'what an operator paused stays paused');
      assert.equal(action.workflowType, 'auditNodes');
    });
  },
);
