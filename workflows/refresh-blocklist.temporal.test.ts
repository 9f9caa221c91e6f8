import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  deleteFeedSchedule,
  ensureFeedSchedule,
  feedSchedules,
} from '../adapters/temporal/schedules';
import { feedSchedule, WORKFLOW_QUEUE, workflowId } from '../core/model/ids';
import type { RefreshInput } from '../core/model/messages';
import type { FeedOutcome } from '../core/model/views';
import { shardOf } from '../core/ring/shard';
import { withoutTemporal } from './testing/dev-server';
import { activitiesOf } from './testing/history';
import { House } from './testing/house';
import { until } from './testing/until';

const GOOD: FeedOutcome = {
  outcome: 'updated',
  problem: null,
  count: 12,
  added: 3,
  removed: 1,
  sha256: 'a'.repeat(64),
  notes: ['2 lines held no prefix'],
};
const SHRUNK: FeedOutcome = {
  ...GOOD,
  outcome: 'kept',
  problem: '11 of 12 prefixes would go, maxShrinkPercent is 50',
  notes: [],
};

describe('refreshBlocklist', { skip: withoutTemporal }, () => {
  let house: House;
  before(async () => {
    house = await House.open();
    await house.startShard(shardOf('bad'));
  });
  after(() => house.close());

  const start = (input: unknown) =>
    house.client.start<(input: RefreshInput) => Promise<FeedOutcome>>('refreshBlocklist', {
      workflowId: workflowId.refreshBlocklist('bad'),
      taskQueue: WORKFLOW_QUEUE,
      args: [input as RefreshInput],
    });

  test('costs one activity, and says in its result and in the UI what came of it', async () => {
    house.feeds.outcomes.push(GOOD);
    const run = await start({ blocklist: 'bad' });
    assert.deepEqual(await run.result(), GOOD);
    assert.deepEqual(activitiesOf(await run.fetchHistory()), ['refreshBlocklist']);
    await house.record(run, 'refreshBlocklist-updated');
  });

  test('that is not believed completes, and says why', async () => {
    house.feeds.outcomes.push(SHRUNK);
    const run = await start({ blocklist: 'bad' });
    assert.deepEqual(await run.result(), SHRUNK);
    await house.record(run, 'refreshBlocklist-kept');
  });

  test('is tried again where nobody could tell; and keeps the list where that does not help', async () => {
    house.feeds.outcomes.push(new Error('etcd is away'), GOOD);
    assert.equal((await (await start({ blocklist: 'bad' })).result()).outcome, 'updated');
    house.feeds.outcomes.push(...[1, 2, 3].map(() => new Error('etcd is away')));
    const outcome = await (await start({ blocklist: 'bad' })).result();
    const { problem, count } = outcome;
    assert.deepEqual([outcome.outcome, problem, count], ['kept', 'etcd is away', null]);
  });

  test('refuses an input that is none', async () => {
    for (const input of [null, {}, { blocklist: 'Bad' }, { blocklist: 'bad', node: 'x' }]) {
      const run = await start(input);
      await assert.rejects(run.result(), ({ cause }: Error) => /Invalid input/.test(String(cause)));
    }
  });

  test('has a Schedule that is made, changed and taken away, each as often as one likes', async () => {
    const { client } = house.link;
    const asked = house.feeds.asked.length;
    await ensureFeedSchedule(client, 'bad', 3_600_000, false);
    await ensureFeedSchedule(client, 'bad', 7_200_000, false);
    const schedule = client.schedule.getHandle(feedSchedule('bad'));
    const { spec, action } = await schedule.describe();
    assert.deepEqual(
      spec.intervals?.map(({ every }) => every),
      [7_200_000],
    );
    assert.equal(action.workflowType, 'refreshBlocklist');
    assert.equal(house.feeds.asked.length, asked, 'nothing was loaded yet');
    house.feeds.outcomes.push(GOOD);
    await ensureFeedSchedule(client, 'bad', 7_200_000, true);
    await until('it was loaded at once', () => house.feeds.asked.length === asked + 1);
    await until('it is listed', async () => (await feedSchedules(client)).includes('bad'));
    await deleteFeedSchedule(client, 'bad');
    await deleteFeedSchedule(client, 'bad');
    await until('it is listed no more', async () => !(await feedSchedules(client)).includes('bad'));
  });
});
