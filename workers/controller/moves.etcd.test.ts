/** Edges between real controllers: handed over, and when their owner dies, hangs, or wakes. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { EdgeStreamClient } from '../../adapters/edge-stream/client';
import { HEARTBEAT_MS } from '../../adapters/edge-stream/proto';
import { withoutEtcd } from '../../adapters/etcd/testing';
import { shardOf } from '../../core/ring/shard';
import { until } from '../../workflows/testing/until';
import { type Brain, Brains } from './testing/brains';
import { nodeResource } from './testing/resources';

const skip = withoutEtcd;
const NODES = Array.from({ length: 8 }, (_, i) => `edge-${i}`);

/** An edge that says something all the time, and notes when nobody takes it. */
class Talker {
  readonly events: string[] = [];
  readonly fences: number[] = [];
  /** Specs heard, by their fence. */
  readonly specs: number[] = [];
  gapMs = 0;
  private heardAtMs = performance.now();
  private readonly timer: NodeJS.Timeout;

  private constructor(
    readonly node: string,
    readonly client: EdgeStreamClient,
  ) {
    this.timer = setInterval(() => this.talk(), 10);
  }

  static async start(
    t: TestContext,
    brains: Brains,
    node: string,
    seeds: Brain[],
    heartbeatMs = HEARTBEAT_MS,
  ): Promise<Talker> {
    const tls = await brains.cluster.certificate('edge', node);
    const controllers = seeds.map(({ edgePort }) => `127.0.0.1:${edgePort}`);
    let self: Talker;
    const client = new EdgeStreamClient(
      { controllers, tls, heartbeatMs },
      {
        hello: () => ({
          incarnation: 1,
          agentVersion: 'test',
          acceptedRevision: 0,
          acceptedHash: '',
          appliedHash: '',
        }),
        connected: (controller) => self.events.push(controller.split(' ')[0] ?? ''),
        disconnected: () => self.events.push('nobody'),
        fence: ({ ownerRevision }) => self.fences.push(ownerRevision),
        message: ({ ownerRevision }, { message }) => {
          if (message === 'spec') self.specs.push(ownerRevision);
        },
      },
    );
    self = new Talker(node, client);
    t.after(() => self.stop());
    client.start();
    return self;
  }

  stop(): void {
    clearInterval(this.timer);
    this.client.close();
  }

  private talk(): void {
    const nowMs = performance.now();
    const said = this.client.send({ message: 'heartbeat', heartbeat: { atMs: Date.now() } });
    if (said) this.heardAtMs = nowMs;
    else if (this.fences.length > 0) this.gapMs = Math.max(this.gapMs, nowMs - this.heardAtMs);
  }
}

/** Each is with the controller that has the key of its shard, and with nobody else. */
async function atHome(brains: Brains, talkers: readonly Talker[], withinMs = 30_000) {
  await until(
    'each edge is at its owner, and there alone',
    async () => {
      const owners = await brains.owners();
      return talkers.every(({ node, client }) => {
        const owner = owners.get(shardOf(node));
        return client.primary?.id === owner?.controller && client.guests.length === 0;
      });
    },
    withinMs,
  );
}

const rising = (numbers: readonly number[]): boolean =>
  numbers.every((number, i) => i === 0 || number > numbers[i - 1]!);

test(
  'edges go where the map says, without a gap, and to the heirs when their owner is killed',
  { skip, timeout: 120_000 },
  async (t) => {
    const brains = await Brains.start(t);
    const first = await brains.add('c1');
    await brains.settled('c1');
    const talkers = await Promise.all(NODES.map((node) => Talker.start(t, brains, node, [first])));
    await atHome(brains, talkers);

    await t.test('a controller comes', async (t) => {
      await brains.add('c2');
      await brains.settled('c1', 'c2');
      await atHome(brains, talkers);
      const moved = talkers.filter(({ client }) => client.primary?.id === 'c2');
      assert.ok(moved.length > 0, 'some edge has moved');
      await until('each has learned of both', () =>
        talkers.every(({ client }) => {
          const learned = client.learned.map(({ id }) => id).sort();
          return learned.join() === 'c1,c2';
        }),
      );
      for (const { node, events, fences, gapMs } of talkers) {
        const is = moved.some((each) => each.node === node);
        assert.deepEqual(events, is ? ['c1', 'c2'] : ['c1'], node);
        assert.ok(rising(fences), node);
        assert.equal(gapMs, 0, `${node} could always say what it had to say`);
      }
      t.diagnostic(`${moved.length} of ${talkers.length} moved`);
    });

    await t.test('it is killed', async (t) => {
      const orphans = talkers.filter(({ client }) => client.primary?.id === 'c2');
      const others = talkers.filter((each) => !orphans.includes(each));
      const killedAtMs = performance.now();
      await [...brains.all].find(({ id }) => id === 'c2')?.stop('SIGKILL');
      await until('nobody owns them', () => orphans.every(({ client }) => client.primary === null));
      await until('c1 has them as guests', () =>
        orphans.every(({ client }) => client.guests.some(({ id }) => id === 'c1')),
      );
      t.diagnostic(`guests after ${Math.round(performance.now() - killedAtMs)} ms`);
      await brains.settled('c1');
      await atHome(brains, talkers);
      t.diagnostic(`owned after ${Math.round(performance.now() - killedAtMs)} ms`);
      for (const { events, fences } of orphans) {
        assert.deepEqual(events.slice(-2), ['nobody', 'c1']);
        assert.ok(rising(fences));
      }
      for (const { gapMs } of others) assert.equal(gapMs, 0);
    });
  },
);

test(
  'an owner that hangs is left, and when it wakes nothing of what it had in mind is done',
  { skip, timeout: 120_000 },
  async (t) => {
    const brains = await Brains.start(t);
    const first = await brains.add('c1');
    const second = await brains.add('c2');
    await brains.settled('c1', 'c2');
    const owners = await brains.owners();
    const node = NODES.find((each) => owners.get(shardOf(each))?.controller === 'c2');
    assert.ok(node, 'some node is of c2');
    // A second without a word is doubt enough here.
    const talker = await Talker.start(t, brains, node, [first, second], 1_000);
    await atHome(brains, [talker]);
    second.process.kill('SIGSTOP');
    await brains.settled('c1');
    await atHome(brains, [talker]);
    assert.ok(rising(talker.fences));
    const highest = talker.fences.at(-1)!;
    await first.admin.apply([nodeResource(node, 1)], null);
    second.process.kill('SIGCONT');
    await brains.settled('c1', 'c2');
    await atHome(brains, [talker]);
    assert.ok(rising(talker.fences));
    for (const each of talker.specs) assert.ok(each >= highest, 'a spec of the former owner');
  },
);
