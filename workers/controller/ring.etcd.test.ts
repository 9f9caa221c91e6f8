import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutEtcd } from '../../adapters/etcd/testing';
import { until } from '../../workflows/testing/until';
import { Brains } from './testing/brains';

const skip = withoutEtcd;

test(
  'three controllers share the shards by the map; those of one that is killed are owned by the others',
  { skip, timeout: 60_000 },
  async (t) => {
    const brains = await Brains.start(t);
    const first = await brains.add('c1');
    await brains.settled('c1');
    const metric = (name: string, value: number) =>
      until(name, async () => (await first.metric(`aether_controller_${name}`)) === value);
    await metric('ring_imbalance', 1);
    await metric('shards_owned', 256);
    const [second] = await Promise.all([brains.add('c2'), brains.add('c3')]);
    await brains.settled('c1', 'c2', 'c3');
    for (const count of Object.values(await brains.owned())) {
      assert.ok(Math.abs(count - 256 / 3) <= 5, `${count} of 256`);
    }
    const before = await brains.owners();
    await second.stop('SIGKILL');
    await brains.settled('c1', 'c3');
    const after = await brains.owners();
    for (const [shard, { controller, token }] of after) {
      const former = before.get(shard)!;
      if (former.controller === 'c2') assert.ok(token > former.token, `fence of ${shard}`);
      else assert.deepEqual({ controller, token }, former, 'nobody else has moved');
    }
    await metric('ring_controllers', 2);
  },
);
