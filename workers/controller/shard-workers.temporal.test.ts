import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { activityInfo, ApplicationFailure } from '@temporalio/activity';
import { pino } from 'pino';
import { RawTemporal } from '../../adapters/temporal/raw';
import type { Activities } from '../../adapters/temporal/activity-work';
import { createClusterActivities } from '../../activities/cluster';
import { shardQueue, WORKFLOW_QUEUE, workflowId } from '../../core/model/ids';
import { shardOf } from '../../core/ring/shard';
import type { AuditSummary } from '../../workflows/audit-nodes';
import { runByHand } from '../../workflows/testing/by-hand';
import { withoutTemporal } from '../../workflows/testing/dev-server';
import { House } from '../../workflows/testing/house';
import { ScriptedEdge } from '../../workflows/testing/scripted';
import { until } from '../../workflows/testing/until';
import { ShardWorkers } from './shard-workers';
import { attemptsOf, told } from './testing/attempts';

const SHARDS = Array.from({ length: 16 }, (_, i) => i * 16);
const HAND_OVERS = 12;
const AUDITING = 4;

/** One of those between whom the shards go to and fro. */
class Side {
  readonly #stop = new AbortController();
  readonly #raw: RawTemporal;
  readonly workers: ShardWorkers;
  #holds = false;

  constructor(identity: string, address: string, activities: object) {
    this.workers = new ShardWorkers({
      identity,
      activities: activities as Activities,
      holds: () => this.#holds,
      onChange: () => undefined,
      onActivity: () => undefined,
      log: pino({ level: 'silent' }),
      signal: this.#stop.signal,
    });
    this.#raw = new RawTemporal({ address }, 'default');
    this.workers.connected({ namespace: 'default', temporal: () => this.#raw });
  }

  take(shards: readonly number[]): void {
    this.#holds = true;
    this.workers.set(shards, []);
  }

  /** Polls no more; its key is another matter. */
  stopPolling(): void {
    this.workers.set([], []);
  }

  leave(): void {
    this.stopPolling();
    this.#holds = false;
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.workers.end();
    this.#raw.close();
  }
}

async function open(t: TestContext) {
  const house = await House.open();
  t.after(() => house.close());
  house.cluster.shardsWithNodes = async () => SHARDS;
  const done: string[] = [];
  const auditShard = async ({ shard }: { shard: number }) => {
    const { workflowExecution, activityId } = activityInfo();
    done.push(`${workflowExecution?.workflowId} ${activityId}`);
    return { shard, checked: 1, differing: [] };
  };
  const sides = ['c1', 'c2'].map((id) => new Side(id, house.address, { auditShard }));
  t.after(() => Promise.all(sides.map((side) => side.end())));
  return { house, done, sides: sides as [Side, Side] };
}

test(
  'no activity is lost to a poll that was under way when its Worker stopped',
  { skip: withoutTemporal, timeout: 180_000 },
  async (t) => {
    const { house, done, sides } = await open(t);
    const audits: string[] = [];
    let over = false;
    const auditing = Array.from({ length: AUDITING }, async () => {
      while (!over) {
        const workflowId = `audit-${audits.length}`;
        audits.push(workflowId);
        const options = { taskQueue: WORKFLOW_QUEUE, workflowId, args: [] };
        const summary: AuditSummary = await house.client.execute('auditNodes', options);
        assert.deepEqual(summary.unaudited, []);
      }
    });
    let [from, to] = sides;
    from.take(SHARDS);
    for (let i = 0; i < HAND_OVERS; i++) {
      to.workers.set([], SHARDS);
      const soFar = done.length;
      await until('some were done', () => done.length > soFar + SHARDS.length, 60_000);
      from.stopPolling();
      await until('it has let go', () => SHARDS.every((shard) => from.workers.ended(shard)));
      from.leave();
      to.take(SHARDS);
      [from, to] = [to, from];
    }
    over = true;
    await Promise.all(auditing);
    const attempts = (await Promise.all(audits.map((id) => attemptsOf(house.client, id)))).flat();
    const lost = attempts.filter(({ failure }) => failure !== null && failure !== 'StaleFence');
    const refused = attempts.filter(({ failure }) => failure === 'StaleFence');
    t.diagnostic(`${done.length} done, ${refused.length} refused first, ${lost.length} lost`);
    assert.deepEqual(lost.map(told), []);
    assert.equal(attempts.filter(({ completed }) => completed === null).length, 0);
    assert.equal(new Set(done).size, done.length, 'one was done twice');
    assert.equal(done.length, attempts.length);
  },
);

test(
  'an activity that waits hears that it is cancelled; what ends with its Worker goes on at the next one',
  { skip: withoutTemporal, timeout: 120_000 },
  async (t) => {
    const house = await House.open();
    t.after(() => house.close());
    const edge = new ScriptedEdge(`waits-${process.pid}`);
    house.cluster.add(edge);
    await house.startEdge(edge);
    const shard = shardOf(edge.node);
    const began: number[] = [];
    let heard = 0;
    house.cluster.awaitEdge = async (_node, _revision, ended) => {
      began.push(activityInfo().attempt);
      await new Promise((resolve) => ended.addEventListener('abort', resolve, { once: true }));
      heard++;
      throw new Error('it ends');
    };
    const activities = createClusterActivities(house.cluster);
    const [one, two] = [0, 1].map((i) => new Side(`c${i + 1}`, house.address, activities)) as [
      Side,
      Side,
    ];
    t.after(() => Promise.all([one.end(), two.end()]));
    one.take([shard]);
    const run = await house.client.start('onboardNode', {
      workflowId: workflowId.onboard(edge.node),
      taskQueue: WORKFLOW_QUEUE,
      args: [{ node: edge.node, revision: null }],
    });
    await until('it waits', () => began.length === 1);
    one.leave();
    two.take([shard]);
    await until('it waits at the next one', () => began.length === 2, 60_000);
    // The last poll of the first one may have refused it in between.
    assert.deepEqual([began[0], began[1]! > 1, heard], [1, true, 1]);
    await run.cancel();
    await until('it has heard', () => heard === 2, 60_000);
    await assert.rejects(run.result());
    assert.equal((await run.describe()).status.name, 'CANCELLED');
  },
);

test(
  'an input that nobody can read, a failure that nobody can say: one attempt fails, and the next one is taken',
  { skip: withoutTemporal, timeout: 60_000 },
  async (t) => {
    const house = await House.open();
    t.after(() => house.close());
    house.cluster.shardsWithNodes = async () => [0];
    let tries = 0;
    const auditShard = async ({ shard }: { shard: number }) => {
      tries++;
      if (tries === 1) throw ApplicationFailure.create({ message: 'it fails', details: [1n] });
      return { shard, checked: 1, differing: [] };
    };
    const side = new Side('c1', house.address, { auditShard });
    t.after(() => side.end());
    side.take([0]);
    const { failure } = await runByHand(house.link.connection.workflowService, {
      ...{ id: 'strange', type: 'auditShard', taskQueue: shardQueue(0) },
      ...{ encoding: 'binary/unknown', input: '?' },
    });
    assert.match(failure ?? '', /binary\/unknown/);
    const options = { taskQueue: WORKFLOW_QUEUE, workflowId: 'audit', args: [] };
    const summary: AuditSummary = await house.client.execute('auditNodes', options);
    assert.deepEqual([summary.unaudited, tries], [[], 2]);
  },
);
