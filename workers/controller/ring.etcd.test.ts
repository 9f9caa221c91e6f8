import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutEtcd } from '../../adapters/etcd/testing';
import type { ControllerView, RingView } from '../../core/model/views-cluster';
import { until } from '../../workflows/testing/until';
import { type Brain, Brains } from './testing/brains';
import { aether } from './testing/cli';

const skip = withoutEtcd;

test(
  'three controllers share the shards by the map; those of one that is killed are owned by the others',
  { skip, timeout: 90_000 },
  async (t) => {
    const brains = await Brains.start(t);
    const first = await brains.add('c1');
    await brains.settled('c1');
    const metric = (name: string, value: number) =>
      until(name, async () => (await first.metric(`aether_controller_${name}`)) === value);
    await metric('ring_imbalance', 1);
    await metric('shards_owned', 256);
    const [second, third] = await Promise.all([brains.add('c2'), brains.add('c3')]);
    await brains.settled('c1', 'c2', 'c3');
    for (const count of Object.values(await brains.owned())) {
      assert.ok(Math.abs(count - 256 / 3) <= 5, `${count} of 256`);
    }
    await brains.acquainted(first, second, third);
    const before = await brains.owners();
    await second.stop('SIGKILL');
    await brains.settled('c1', 'c3');
    await until(
      'it is told as dead',
      async () => (await first.admin.status()).dead?.[0]?.id === 'c2',
    );
    const status = await aether(first, 'status');
    assert.match(status.stdout, /^c2 is dead for \d+ s: its lease is gone\.$/m, status.stderr);
    const doctor = await aether(first, 'doctor');
    assert.match(doctor.stdout, /MISSING +controller c2 +dead for \d+ s: its lease is gone/);
    const after = await brains.owners();
    for (const [shard, { controller, token }] of after) {
      const former = before.get(shard)!;
      if (former.controller === 'c2') assert.ok(token > former.token, `fence of ${shard}`);
      else assert.deepEqual({ controller, token }, former, 'nobody else has moved');
    }
    await metric('ring_controllers', 2);
  },
);

test(
  'operators see the members and the map, and drain a controller',
  { skip, timeout: 90_000 },
  async (t) => {
    const brains = await Brains.start(t);
    const [one, two] = await Promise.all([brains.add('c1'), brains.add('c2')]);
    await brains.settled('c1', 'c2');
    await brains.acquainted(one, two);
    const asked = async <T>(brain: Brain, ...argv: string[]): Promise<T> => {
      const { code, stdout, stderr } = await aether(brain, ...argv, '--json');
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout) as T;
    };

    await t.test('members', async () => {
      const members = await asked<ControllerView[]>(one, 'members');
      assert.deepEqual(
        members.map(({ id, self, registered, gossip }) => [id, self, registered, gossip?.state]),
        [
          ['c1', true, true, 'alive'],
          ['c2', false, true, 'alive'],
        ],
      );
      assert.equal(members[0]!.holds + members[1]!.holds, 256);
      const { stdout } = await aether(one, 'members');
      assert.match(stdout, /c1 \(this one\) +held +alive/);
    });

    await t.test('ring', async () => {
      const { ring, epoch } = (await brains.map())!;
      const owners = await brains.owners();
      const view = await asked<RingView>(two, 'ring');
      assert.equal(view.epoch, epoch);
      assert.ok(view.imbalance < 1.05);
      for (const { shard, controller, owner, ownerRevision } of view.shards) {
        assert.equal(controller, ring.members[ring.owners[shard]!]!.id);
        assert.deepEqual(owners.get(shard), { controller: owner, token: ownerRevision });
      }
      const { stdout } = await aether(one, 'ring', '--shards');
      assert.match(
        stdout,
        /256 shards, imbalance 1\.\d+: every shard is owned by whom the map says/,
      );
    });

    await t.test('drain, asked of the other one, and undrain', async () => {
      const drained = await asked<{ holds: number }>(one, 'controller', 'drain', 'c2');
      assert.equal(drained.holds, 0);
      await brains.settled('c1');
      assert.equal((await asked<ControllerView[]>(one, 'members'))[1]!.draining, true);
      const view = await asked<RingView>(one, 'ring');
      assert.deepEqual(
        view.members.map(({ id, state, shards, holds }) => [id, state, shards, holds]),
        [
          ['c1', 'here', 256, 256],
          ['c2', 'draining', 0, 0],
        ],
      );
      const changes = view.changes[0]!;
      assert.equal(changes.epoch, view.epoch);
      assert.deepEqual(
        changes.moves.map(({ from, to }) => [from, to]),
        [['c2', 'c1']],
      );
      await asked(two, 'controller', 'undrain', 'c2');
      await brains.settled('c1', 'c2');
    });

    await t.test('what cannot be drained', async () => {
      const unknown = await aether(one, 'controller', 'drain', 'c9');
      assert.equal(unknown.code, 7, unknown.stderr);
      await two.stop('SIGTERM');
      await brains.settled('c1');
      const last = await aether(one, 'controller', 'drain', 'c1');
      assert.equal(last.code, 5, last.stderr);
      assert.match(last.stderr, /no other controller that could take the shards/);
    });

    await t.test('what moved before a controller came is known to it', async () => {
      const before = (await asked<RingView>(one, 'ring')).changes;
      const late = await brains.add('c3');
      await brains.settled('c1', 'c3');
      await one.stop('SIGKILL');
      await brains.settled('c3');
      const { changes } = await asked<RingView>(late, 'ring');
      assert.deepEqual(changes.slice(-before.length), before);
      assert.deepEqual(
        changes
          .slice(0, -before.length)
          .map(({ moves }) => moves.map(({ from, to }) => [from, to])),
        [[['c1', 'c3']], [['c1', 'c3']]],
      );
    });
  },
);
