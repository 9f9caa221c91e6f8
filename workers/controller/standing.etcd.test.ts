/** What several controllers were shown of one edge at the same time, in a real etcd. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { EtcdClient } from '../../adapters/etcd/client';
import { absent } from '../../adapters/etcd/port';
import { EtcdCluster, withoutEtcd } from '../../adapters/etcd/testing';
import { keys } from '../../core/model/keys';
import { valueText } from '../../core/model/values';
import { until } from '../../workflows/testing/until';
import { DesiredState } from './desired';
import { Standing } from './standing';
import { routingNode } from './testing/routing-world';

const NODE = 'fra-1';

test(
  'the newest counts, whoever was shown it and whenever it was written',
  { skip: withoutEtcd, timeout: 60_000 },
  async (t) => {
    const cluster = await EtcdCluster.start(1);
    t.after(() => cluster.stop());
    const etcd = new EtcdClient({ endpoints: cluster.urls, writer: 'c1' });
    t.after(() => etcd.close());
    const put = (key: string, value: string) => etcd.write([], [{ op: 'put', key, value }]);
    const resource = routingNode(NODE, 1);
    await put(keys.node(NODE), valueText({ resource, deletionRevision: null }));
    /** A controller whose watch tells when it is told to; `written`: before it hears that its write was done. */
    const controller = async (written: () => Promise<void> = () => Promise.resolve()) => {
      const desired = new DesiredState();
      const log = pino({ level: 'silent' });
      const write: EtcdClient['write'] = async (...asked) => {
        const outcome = await etcd.write(...asked);
        await written();
        return outcome;
      };
      const standing = new Standing({ write }, desired, () => absent(keys.freeze), log);
      const hear = async () => {
        const { revision, entries } = await etcd.list({ prefix: keys.root });
        const item = { kind: 'snapshot', revision, entries } as const;
        desired.apply(item);
        standing.heard(item);
      };
      await hear();
      return { standing, hear };
    };
    const [one, two] = [await controller(), await controller()];
    const found = async (): Promise<unknown> => {
      const entry = await etcd.get(keys.certificate(NODE));
      return entry && JSON.parse(entry.value.toString());
    };
    const is = (issuedAtMs: number, streamIssuedAtMs: number) =>
      until(`written: ${issuedAtMs}, ${streamIssuedAtMs}`, async () => {
        return JSON.stringify(await found()) === JSON.stringify({ issuedAtMs, streamIssuedAtMs });
      });

    one.standing.shown(NODE, 2_000, 'stream');
    await is(2_000, 2_000);
    // It has not heard of that: its write is refused until it has.
    two.standing.shown(NODE, 1_000, 'stream');
    two.standing.shown(NODE, 3_000, 'call');
    assert.equal(two.standing.bar(NODE, 1_000), null);
    await two.hear();
    await is(3_000, 2_000);

    const barred: string[] = [];
    one.standing.onChange((node) => barred.push(node));
    assert.equal(one.standing.bar(NODE, 2_000), null);
    await one.hear();
    assert.deepEqual(barred, [NODE]);
    assert.equal(one.standing.bar(NODE, 2_000)?.kind, 'older');
    assert.equal(one.standing.isOutdated(NODE, 2_000), false, 'its stream is none of those');
    assert.equal(one.standing.isOutdated(NODE, 1_000), true);
    assert.equal(one.standing.bar(NODE, 3_000), null);

    await etcd.write(
      [],
      [
        { op: 'delete', key: keys.node(NODE) },
        { op: 'put', key: keys.removed(NODE), value: valueText({ atMs: 1 }) },
      ],
    );
    await two.hear();
    assert.equal(two.standing.bar(NODE, 9_000)?.kind, 'removed');
    await put(keys.node(NODE), valueText({ resource, deletionRevision: null }));
    await two.hear();
    assert.equal(two.standing.bar(NODE, 3_000), null, 'it is declared anew');
    assert.equal(two.standing.bar(NODE, 2_999)?.kind, 'older');

    // A third one's answer from etcd is late: its watch has told of what was written since.
    const between = async (): Promise<void> => {
      if (third.standing.newestOf(NODE) !== 3_000) return;
      await two.hear();
      two.standing.shown(NODE, 7_000, 'call');
      await is(7_000, 2_000);
      await third.hear();
    };
    const third = await controller(between);
    third.standing.shown(NODE, 5_000, 'call');
    await until('the third one has heard', () => third.standing.newestOf(NODE) === 7_000);
    const { why = '' } = third.standing.bar(NODE, 6_000) ?? {};
    assert.match(
      why,
      /newer certificate since \(good from 1970-01-01T00:00:07Z, this one from 1970-01-01T00:00:06Z\)/,
    );
    third.standing.shown(NODE, 8_000, 'stream');
    await is(8_000, 8_000);
  },
);
