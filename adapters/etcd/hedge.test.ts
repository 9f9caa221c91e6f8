import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hedge, type HedgeTimes, NoAnswer } from './hedge';

const times: HedgeTimes = { hedgeAfterMs: 20, attemptMs: 60, pauseMs: 10 };
const never = (): boolean => false;

test('one answer in time: nobody else is asked', async () => {
  const asked: number[] = [];
  const answer = await hedge(
    3,
    1,
    500,
    async (target) => {
      asked.push(target);
      return 'yes';
    },
    never,
    times,
  );
  assert.deepEqual([answer, asked], [{ value: 'yes', target: 1 }, [1]]);
});

test('a silent target: the next is asked as well, and the first answer counts', async () => {
  const asked: number[] = [];
  const answer = await hedge(
    3,
    0,
    500,
    async (target) => {
      asked.push(target);
      if (target === 0) await sleep(300);
      return target;
    },
    never,
    times,
  );
  assert.equal(answer.target, 1);
  assert.deepEqual(asked, [0, 1]);
});

test('failures are passed on at once, and tried again until it works', async () => {
  let calls = 0;
  const answer = await hedge(
    3,
    2,
    500,
    async (target) => {
      if (++calls < 8) throw new Error('down');
      return target;
    },
    never,
    times,
  );
  assert.equal(calls, 8);
  assert.equal(answer.target, 0); // 2 0 1, 2 0 1, 2 0
});

test('an error that asking again cannot cure ends it', async () => {
  const fatal = new Error('not permitted');
  let calls = 0;
  const asking = hedge(
    3,
    0,
    500,
    async () => {
      calls++;
      throw fatal;
    },
    (error) => error === fatal,
    times,
  );
  await assert.rejects(asking, fatal);
  assert.equal(calls, 1);
});

test('no answer in the whole time: what each one said last, and no target is asked twice at once', async () => {
  const busy = new Set<number>();
  const asking = hedge(
    2,
    0,
    150,
    async (target, deadlineMs) => {
      assert(!busy.has(target));
      busy.add(target);
      await sleep(target === 0 ? 1000 : Math.max(1, deadlineMs / 4));
      busy.delete(target);
      throw new Error('down');
    },
    never,
    times,
  );
  await assert.rejects(asking, (error) => {
    assert(error instanceof NoAnswer);
    assert.equal(error.errors[0], undefined);
    assert.match(String(error.errors[1]), /down/);
    return true;
  });
});
