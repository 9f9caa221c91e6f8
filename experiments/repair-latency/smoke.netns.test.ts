import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRunLabs } from '../../lab/testing';
import { measure } from './measure';

test('drifts are timed, both ways', { skip: cannotRunLabs(), timeout: 60_000 }, async () => {
  const [median, p99, alone] = await measure(true);
  assert.equal(median?.samples.length, 5);
  assert.deepEqual(p99?.samples, median.samples);
  assert.ok(
    median.samples.every((ms) => ms > 1 && ms < 20_000),
    `ms: ${median.samples.join()}`,
  );
  assert.equal(alone?.samples.length, 2);
  assert.ok(
    alone.samples.every((ms) => ms > 0 && ms < 20_000),
    `ms: ${alone.samples.join()}`,
  );
});
