/** The agent's worker against a Temporal server that comes late, goes away and comes back. */
import assert from 'node:assert/strict';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { Connection } from '@temporalio/client';
import { waitFor } from '../../adapters/native/test-support';
import { createLogger } from '../../adapters/telemetry/logger';
import type { EdgePort } from '../../activities/edge';
import { DevServer, withoutTemporal } from '../../workflows/testing/dev-server';
import type { Guard } from './guard';
import { createEdgeMetrics } from './metrics';
import { TemporalWorker } from './temporal';

/** One address for a server that is sometimes there: forwards, or refuses. */
class Door {
  private server: Server | null = null;
  private port = 0;
  private readonly sockets = new Set<Socket>();

  async open(target: number): Promise<number> {
    const server = createServer((socket) => {
      const onward = connect(target, '127.0.0.1');
      for (const end of [socket, onward]) {
        this.sockets.add(end);
        end.on('close', () => this.sockets.delete(end)).on('error', () => end.destroy());
      }
      socket.on('close', () => onward.destroy()).pipe(onward);
      onward.on('close', () => socket.destroy()).pipe(socket);
    });
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.port = (server.address() as AddressInfo).port;
    this.server = server;
    return this.port;
  }

  async close(): Promise<void> {
    const { server } = this;
    this.server = null;
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
  }
}

function guard(): Guard {
  return {
    port: {} as EdgePort,
    log: createLogger('error', {}),
    metrics: createEdgeMetrics(),
    stream: { primary: null, learned: [], onChange: () => undefined },
    temporal: { connected: false },
    stop: () => Promise.resolve(),
  };
}

/** When the worker last asked for a task of its queue, epoch ms; null = never. */
async function lastPoll(t: TestContext, address: string): Promise<() => Promise<number | null>> {
  const connection = await Connection.connect({ address });
  t.after(() => connection.close());
  return async () => {
    const { pollers } = await connection.workflowService.describeTaskQueue({
      namespace: 'default',
      taskQueue: { name: 'edge/fra-1' },
      taskQueueType: 2,
    });
    const times = (pollers ?? []).map(
      ({ lastAccessTime: at }) => Number(at?.seconds) * 1000 + Number(at?.nanos) / 1e6,
    );
    return times.length === 0 ? null : Math.max(...times);
  };
}

test(
  'the worker waits for Temporal, polls its own queue, and survives a cut',
  { skip: withoutTemporal },
  async (t) => {
    const door = new Door();
    const port = await door.open(1);
    await door.close();
    const agent = guard();
    const config = { connectionOptions: { address: `127.0.0.1:${port}` } };
    const worker = new TemporalWorker('fra-1', config, agent);
    worker.start();
    let stopped = false;
    t.after(async () => {
      await door.close();
      if (!stopped) await worker.stop();
    });
    const server = await DevServer.start();
    t.after(() => server.stop());
    assert.equal(agent.temporal.connected, false);

    const target = Number(server.address.split(':')[1]);
    await door.open(target);
    await waitFor('connected', () => agent.temporal.connected, 20_000);
    const polled = await lastPoll(t, server.address);
    await waitFor('polling', polled, 20_000);

    await door.close();
    const backAtMs = Date.now();
    await door.open(target);
    await waitFor('polling again', async () => ((await polled()) ?? 0) > backAtMs, 40_000);

    const beganMs = performance.now();
    await worker.stop();
    stopped = true;
    assert.ok(performance.now() - beganMs < 10_000);
    assert.equal(agent.temporal.connected, false);
  },
);

test('stopping while Temporal is away does not hang', async () => {
  const worker = new TemporalWorker(
    'fra-1',
    { connectionOptions: { address: '127.0.0.1:1' } },
    guard(),
  );
  worker.start();
  const beganMs = performance.now();
  await worker.stop();
  assert.ok(performance.now() - beganMs < 10_000);
});
