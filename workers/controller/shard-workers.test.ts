import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import type { RenewableLink } from '../../adapters/temporal/connection';
import { ShardWorkers } from './shard-workers';

const SERVED = 7;

test('a shard that is served is not ready before there is a Worker for it', () => {
  const workers = new ShardWorkers({
    identity: 'c1',
    activities: {},
    holds: () => false,
    serves: (shard) => shard === SERVED,
    onChange: () => undefined,
    onActivity: () => undefined,
    log: pino({ level: 'silent' }),
    signal: new AbortController().signal,
  });
  assert.equal(workers.ready(SERVED), true, 'without Temporal nobody waits for Workers');
  // Nothing is asked of it here.
  workers.connected({} as RenewableLink);
  assert.equal(workers.ready(SERVED), false);
  assert.equal(workers.ready(SERVED + 1), true, 'there is nothing to run for it');
});
