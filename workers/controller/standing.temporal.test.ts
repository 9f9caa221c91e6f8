/** Certificates that were taken from a host: of no use once there is a newer one, or the node is gone. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { DialedStream } from '../../adapters/edge-stream/dial';
import { POLL } from '../../adapters/gateway/rules';
import { until } from '../../workflows/testing/until';
import { Cluster, type Tls, withoutServers } from './testing/cluster';
import { Intruder, path, pollOf } from './testing/intruder';
import { nodeResource } from './testing/resources';

const NODE = 'fra-1';

/** As a thief has them: a copy of its own. */
function stolen({ ca, cert, key }: Tls, to: string): Tls {
  mkdirSync(to);
  const copy = { ca: join(to, 'ca.pem'), cert: join(to, 'cert.pem'), key: join(to, 'key.pem') };
  cpSync(ca, copy.ca);
  cpSync(cert, copy.cert);
  cpSync(key, copy.key);
  return copy;
}

/** How a stream ends that says hello with that certificate; `welcomed`: it did not end at once. */
function hello(port: number, tls: Tls): Promise<string> {
  return new Promise((resolve) => {
    const stream = new DialedStream(
      `127.0.0.1:${port}`,
      { tls },
      {
        hello: () => ({
          protocol: 1,
          incarnation: 1,
          acceptedRevision: 0,
          acceptedHash: '',
          appliedHash: '',
          fence: null,
          agentVersion: '0',
        }),
        welcomed: () => {
          stream.close();
          resolve('welcomed');
        },
        message: () => undefined,
        silent: () => undefined,
        drained: () => undefined,
        ended: ({ why }) => resolve(why),
      },
    );
  });
}

test(
  'a stolen certificate is out once its edge has a newer one, and every one is once its node is removed',
  { skip: withoutServers, timeout: 180_000 },
  async (t) => {
    const cluster = await Cluster.start(t);
    await cluster.startController();
    await cluster.ready();
    const second = await cluster.another('c2');
    await cluster.startEdge(NODE);
    await cluster.admin.apply([nodeResource(NODE, 1)], null);
    const view = async () => (await cluster.admin.get(NODE))[0];
    await until('active', async () => (await view())?.phase === 'active', 60_000);
    const issued = await cluster.certificate('edge', NODE);
    const old = stolen(issued, join(cluster.directory, 'stolen'));
    const thieves = [cluster.edgePort, second.edgePort].map((port) => new Intruder(port, old));
    t.after(() => thieves.forEach(({ client }) => client.close()));
    const polledAtMs = performance.now();
    const polling = thieves.map((thief) => thief.call(path(POLL), pollOf(NODE), 60_000));
    let ended = 0;
    for (const poll of polling) void poll.then(() => ended++);

    const log = () => cluster.log('controller') + cluster.log('c2');
    const count = (what: string) => log().split(`"edge ${what}"`).length - 1;
    await until('its stream is at its owner alone', async () => {
      const standing = count('connected') - count('disconnected');
      return standing === 1 && (await view())?.connected === true;
    });
    const streams = count('connected');

    // Certificates say when they were issued in whole seconds.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    assert.equal(ended, 0, 'a poll of the thief has ended by itself');
    rmSync(issued.cert);
    rmSync(issued.key);
    await cluster.certificate('edge', NODE);
    const answers = await Promise.all(polling);
    assert.ok(performance.now() - polledAtMs < 50_000, 'they lasted as long as any poll');
    assert.ok(answers.every((answer) => Buffer.isBuffer(answer) && answer.length === 0));
    for (const [i, thief] of thieves.entries()) {
      const again = await thief.call(path(POLL), pollOf(NODE));
      assert.ok(!Buffer.isBuffer(again), `controller ${i} lets the thief poll`);
      assert.equal(again.code, grpc.status.PERMISSION_DENIED);
      assert.match(again.details, /newer certificate/);
    }
    for (const port of [cluster.edgePort, second.edgePort]) {
      assert.match(await hello(port, old), /newer certificate/);
    }
    assert.equal((await view())?.connected, true);
    assert.deepEqual([count('connected'), count('disconnected')], [streams, streams - 1]);

    // Whoever has the newest one goes with its node.
    const newest = stolen(issued, join(cluster.directory, 'newest'));
    const last = [cluster.edgePort, second.edgePort].map((port) => new Intruder(port, newest));
    t.after(() => last.forEach(({ client }) => client.close()));
    const waiting = last.map((thief) => thief.call(path(POLL), pollOf(NODE), 60_000));
    await cluster.admin.delete(NODE, true);
    for (const end of await Promise.all(waiting)) {
      assert.ok(!Buffer.isBuffer(end), 'a poll went on, or was answered');
      assert.equal(end.code, grpc.status.PERMISSION_DENIED, end.details);
      assert.match(end.details, /was removed/);
    }
    for (const [i, thief] of last.entries()) {
      const port = i === 0 ? cluster.edgePort : second.edgePort;
      assert.equal(await thief.code(path('GetSystemInfo'), Buffer.alloc(0)), 7);
      assert.match(await hello(port, newest), /was removed/);
    }
    await until('the stream of the edge has ended', () => count('disconnected') === streams);

    await cluster.admin.apply([nodeResource(NODE, 1)], null);
    await until('it comes back', async () => (await view())?.phase === 'active', 60_000);
    assert.match(await hello(second.edgePort, old), /newer certificate/);
  },
);
