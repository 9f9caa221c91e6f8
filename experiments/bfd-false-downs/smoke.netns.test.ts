import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SMOKE, cannotRun, measure } from './measure';

test('sessions are watched beside loads', { skip: cannotRun(), timeout: 120_000 }, async () => {
  const { figures } = await measure(SMOKE);
  assert.equal(figures.length, 7);
  for (const { claim, samples } of figures) {
    assert.equal(samples.length, 2, claim);
    for (const sample of samples) assert.ok(Number.isFinite(sample) && sample >= 0, claim);
  }
  const cpu = figures.at(-1);
  assert.ok((cpu?.samples[0] ?? 100) < 50, `20 sessions take ${cpu?.samples.join()} %`);
});
