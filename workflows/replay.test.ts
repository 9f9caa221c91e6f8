/**
 * Every recorded history is replayed against the workflows as they are now: a change that a running
 * workflow would stumble over is found here. Histories are named by version and only ever added;
 * `AETHER_REWRITE=1` records those of the present version anew.
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import type { History } from '@temporalio/common/lib/proto-utils';
import { DeterminismViolationError } from '@temporalio/workflow';
import { Worker } from '@temporalio/worker';
import { bundle } from './testing/bundle';
import { HISTORIES, quiet } from './testing/house';

interface Recorded {
  workflowId: string;
  history: History;
}

const read = (name: string): Recorded =>
  JSON.parse(readFileSync(join(HISTORIES, name), 'utf8')) as Recorded;

const names = readdirSync(HISTORIES).filter((name) => name.endsWith('.json'));

/** All by one worker; a history goes by the name of its file. */
async function* named(): AsyncGenerator<{ workflowId: string; history: History }> {
  for (const name of names) yield { workflowId: name, history: read(name).history };
}

describe('recorded histories', () => {
  let workflowBundle: { code: string };
  const replayed = new Map<string, Error | undefined>();
  before(async () => {
    quiet();
    workflowBundle = await bundle();
    for await (const { workflowId, error } of Worker.runReplayHistories(
      { workflowBundle },
      named(),
    )) {
      replayed.set(workflowId, error);
    }
  });

  test('each workflow has some', () => {
    const workflows = [...new Set(names.map((name) => name.split('-')[0]))].sort();
    assert.deepEqual(workflows, [
      'auditNodes',
      'bgpFailover',
      'decommissionNode',
      'drainNode',
      'drainService',
      'nodeLifecycle',
      'onboardNode',
      'quarantineNode',
      'refreshBlocklist',
      'repairNode',
    ]);
  });

  for (const name of names) {
    test(`${name} replays`, () => {
      assert.ok(replayed.has(name));
      assert.ifError(replayed.get(name));
    });
  }

  test('a workflow that asks for another activity than it did is caught', async () => {
    const { code } = workflowBundle;
    const step = "work.all('reconcile'";
    assert.ok(code.includes(step), 'the bundle builds by reconcile');
    const changed = { code: code.replace(step, "work.all('remove'") };
    const { workflowId, history } = read('onboardNode-happy-v1.json');
    await assert.rejects(
      Worker.runReplayHistory({ workflowBundle: changed }, history, workflowId),
      DeterminismViolationError,
    );
  });
});
