/** Two controllers that share the shards, and names of nodes by whose they are. */
import type { TestContext } from 'node:test';
import { until } from '../../../workflows/testing/until';
import { EtcdClient } from '../../../adapters/etcd/client';
import { keys } from '../../../core/model/keys';
import { parseOwnerValue } from '../../../core/model/values';
import { shardOf } from '../../../core/ring/shard';
import { readKey } from '../desired';
import { type Another, Cluster } from './cluster';

export interface Two {
  cluster: Cluster;
  /** The second one; the first one is `cluster`'s own. */
  other: Another;
  ports: number[];
  /** `region-1`, `region-2` … the first that this controller owns and `taken` has not. */
  nameAt(controller: string, region: string, taken?: readonly string[]): string;
}

const SHARE = 100;

export async function twoControllers(
  t: Pick<TestContext, 'after'>,
  options: { temporal: boolean },
): Promise<Two> {
  const cluster = await Cluster.start(t, options);
  const [, other] = await Promise.all([cluster.startController(), cluster.another('c2')]);
  await cluster.ready();
  await until(
    'both have their share',
    async () => {
      const { controllers } = await cluster.admin.status();
      return controllers.length === 2 && controllers.every(({ shards }) => shards >= SHARE);
    },
    30_000,
  );
  const etcd = new EtcdClient({ endpoints: cluster.etcd.urls, writer: 'test' });
  t.after(() => etcd.close());
  const { entries } = await etcd.list({ prefix: keys.owners });
  const owners = new Map(
    entries.map((entry) => [entry.key, readKey(entry, parseOwnerValue)?.value.controller]),
  );
  const nameAt: Two['nameAt'] = (controller, region, taken = []) => {
    for (let i = 1; ; i += 1) {
      const name = `${region}-${i}`;
      const owner = owners.get(keys.owner(shardOf(name)));
      if (owner === controller && !taken.includes(name)) return name;
    }
  };
  return { cluster, other, ports: [cluster.edgePort, other.edgePort], nameAt };
}
