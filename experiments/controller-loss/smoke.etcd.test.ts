import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutEtcd } from '../../adapters/etcd/testing';
import { measure, SMOKE } from './measure';

test('a controller is killed, another one told to stop', { skip: withoutEtcd }, async () => {
  const figures = await measure(SMOKE);
  assert.equal(figures.length, 3);
  for (const { claim, samples } of figures) {
    assert.equal(samples.length, SMOKE.runs, claim);
    assert.ok(
      samples.every((ms) => ms > 0 && ms < 60_000),
      `${claim}: ${samples.join()}`,
    );
  }
});
