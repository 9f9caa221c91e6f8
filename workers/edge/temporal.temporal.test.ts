/** The agent's worker behind a gateway, and a Temporal server that comes late, goes away and comes back. */
import assert from 'node:assert/strict';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { before, test, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { waitFor } from '../../adapters/native/test-support';
import { createLogger } from '../../adapters/telemetry/logger';
import { DevServer, withoutTemporal } from '../../workflows/testing/dev-server';
import { installRuntime, TemporalWorker } from './temporal';
import { Gateways, guardOf, Led } from './testing/gateway';

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

before(() => installRuntime(createLogger('error', {})));

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
    const gateways = await Gateways.open(t);
    const tls = await gateways.edge('fra-1');
    const led = new Led(tls);
    const agent = guardOf(led);
    const worker = new TemporalWorker({ node: 'fra-1', tls }, agent);
    led.lead(await gateways.start('c1', `127.0.0.1:${port}`));
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

test('stopping while no controller is there does not hang', async (t) => {
  const gateways = await Gateways.open(t);
  const worker = new TemporalWorker(
    { node: 'fra-1', tls: await gateways.edge('fra-1') },
    guardOf(new Led()),
  );
  worker.start();
  const beganMs = performance.now();
  await worker.stop();
  assert.ok(performance.now() - beganMs < 10_000);
});

test(
  'a controller that is killed, or led away from, costs the worker no more than a moment',
  { skip: withoutTemporal },
  async (t) => {
    const server = await DevServer.start();
    t.after(() => server.stop());
    const gateways = await Gateways.open(t);
    const addresses = [
      await gateways.start('c1', server.address),
      await gateways.start('c2', server.address),
    ] as const;
    const tls = await gateways.edge('fra-1');
    const led = new Led(tls);
    const worker = new TemporalWorker({ node: 'fra-1', tls }, guardOf(led));
    worker.start();
    t.after(() => worker.stop());
    led.lead(addresses[0]);
    const polled = await lastPoll(t, server.address);
    await waitFor('polling', polled, 20_000);

    const back = async (address: string): Promise<void> => {
      const ledMs = Date.now();
      led.lead(address);
      await waitFor('polling there', async () => ((await polled()) ?? 0) > ledMs, 5_000);
    };
    await gateways.stop('c1');
    led.lead(null);
    // Long enough for the worker to have tried in vain; its own pauses would have grown by now.
    await setTimeout(2_000);
    await back(addresses[1]);

    const third = await gateways.start('c3', server.address);
    await back(third);
  },
);

test(
  'a worker whose node was removed starts anew once the node is declared again, and says what it is meanwhile',
  { skip: withoutTemporal },
  async (t) => {
    const server = await DevServer.start();
    t.after(() => server.stop());
    const gateways = await Gateways.open(t);
    const address = await gateways.start('c1', server.address);
    const tls = await gateways.edge('fra-1');
    const led = new Led(tls);
    const agent = guardOf(led);
    const worker = new TemporalWorker({ node: 'fra-1', tls }, agent);
    worker.start();
    t.after(() => worker.stop());
    led.lead(address);
    const polled = await lastPoll(t, server.address);
    await waitFor('polling', polled, 20_000);

    gateways.bar({ kind: 'removed', why: 'node fra-1 was removed' }, 'fra-1');
    led.lead(null);
    await waitFor('known not to poll', () => !agent.temporal.connected, 5_000);
    // Nothing tells the worker but its stream: long enough for it to have tried in vain.
    await setTimeout(2_000);
    assert.equal(agent.temporal.connected, false);

    gateways.bar(null, 'fra-1');
    const declaredMs = Date.now();
    led.lead(address);
    await waitFor('polling again', async () => ((await polled()) ?? 0) > declaredMs, 5_000);
    await waitFor('known to poll', () => agent.temporal.connected, 5_000);
  },
);
