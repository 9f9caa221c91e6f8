import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Context } from '@temporalio/activity';
import { msToTs } from '@temporalio/common/lib/time';
import { ActivityTask, type Polled } from './activity-task';

const POLLED: Polled = {
  taskToken: Buffer.from('token'),
  workflowNamespace: 'default',
  workflowType: { name: 'w' },
  workflowExecution: { workflowId: 'w', runId: 'r' },
  activityType: { name: 'a' },
  activityId: '1',
  input: null,
  attempt: 1,
  scheduledTime: msToTs(1),
  currentAttemptScheduledTime: msToTs(1),
  scheduleToCloseTimeout: msToTs(0),
  startToCloseTimeout: msToTs(60_000),
  heartbeatTimeout: msToTs(12_000),
};

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a heartbeat that was heard is enough for a while; one that was not is said again at once', async () => {
  const answers = [new Error('away'), new Error('away'), false];
  let beats = 0;
  const beat = async (): Promise<boolean> => {
    const answer = answers[beats++];
    if (answer instanceof Error) throw answer;
    return answer ?? false;
  };
  const task = new ActivityTask(POLLED, 'default', 'ctl/shard-000', { beat });
  await task.run(async () => {
    for (let i = 0; i < 6; i++) {
      Context.current().heartbeat();
      await turn();
    }
  });
  assert.equal(beats, 3);
  assert.equal(task.cancelledByServer, false);
});

test('a server that wants it ended, or knows it no more, cancels it', async () => {
  const task = new ActivityTask(POLLED, 'default', 'ctl/shard-000', { beat: async () => true });
  await assert.rejects(
    task.run(async () => {
      Context.current().heartbeat();
      await Context.current().cancelled;
    }),
    { name: 'CancelledFailure', message: 'CANCELLED' },
  );
  assert.equal(task.cancelledByServer, true);
});
