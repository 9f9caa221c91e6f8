/** The activities of a simulated edge, behind real gateways and a real Temporal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApplicationFailure } from '@temporalio/activity';
import { waitFor } from '../../adapters/native/test-support';
import { connectTemporal } from '../../adapters/temporal/connection';
import { edgeQueue } from '../../core/model/ids';
import { runByHand } from '../../workflows/testing/by-hand';
import { DevServer, withoutTemporal } from '../../workflows/testing/dev-server';
import { createEdgeMetrics } from '../edge/metrics';
import { Gateways, Led } from '../edge/testing/gateway';
import { SimActivities } from './activities';
import type { SimEdge } from './edge';

test(
  'a simulated edge does what it is asked, fails as it fails, and answers through the controller that it has by then',
  { skip: withoutTemporal, timeout: 60_000 },
  async (t) => {
    const server = await DevServer.start();
    t.after(() => server.stop());
    const gateways = await Gateways.open(t);
    const [first, second]: [string[], string[]] = [[], []];
    const addresses = [
      await gateways.start('c1', server.address, first),
      await gateways.start('c2', server.address, second),
    ];
    const tls = await gateways.edge('fra-1');
    const led = new Led(tls);
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    let reconciling = false;
    const activities = {
      status: async (argument: unknown) => ({ argument }),
      remove: async () => {
        throw ApplicationFailure.nonRetryable('it can not be removed');
      },
      reconcile: async () => {
        reconciling = true;
        await held;
        return 'done';
      },
    };
    const edge = { node: 'fra-1', activities, temporal: { connected: false }, stream: led, tls };
    const sim = new SimActivities(edge as unknown as SimEdge, createEdgeMetrics());
    t.after(() => {
      sim.close();
      led.lead(null);
    });
    led.lead(addresses[0] ?? null);
    const { address } = server;
    const { connection } = await connectTemporal({ connectionOptions: { address } }, 'test');
    t.after(() => connection.close());
    const taskQueue = edgeQueue('fra-1');
    const run = (type: string, input: string) =>
      runByHand(connection.workflowService, { id: type, type, taskQueue, input });
    assert.deepEqual(await run('status', '7'), { result: '{"argument":7}', failure: null });
    assert.deepEqual(await run('remove', '7'), { result: null, failure: 'it can not be removed' });
    const last = run('reconcile', '7');
    await waitFor('it has begun', () => reconciling);
    led.lead(addresses[1] ?? null);
    await gateways.stop('c1');
    release();
    assert.deepEqual(await last, { result: '"done"', failure: null });
    const answered = (calls: string[]): number =>
      calls.filter((call) => call.startsWith('RespondActivityTask')).length;
    // Temporal may tell of the result before it answers the one who brought it.
    await waitFor('the second one has passed an answer on', () => answered(second) === 1);
    assert.equal(answered(first), 2);
    await waitFor('it polls at the other one', () => edge.temporal.connected);
  },
);
