import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRun, measure } from './measure';

test('the tracker is measured, off and on', { skip: cannotRun(), timeout: 60_000 }, async () => {
  const figures = await measure(true);
  assert.equal(figures.length, 5);
  for (const { claim, samples } of figures) {
    assert.equal(samples.length, 1, claim);
    assert.ok(Number.isFinite(samples[0]), claim);
  }
  const [, , , pour, p99] = figures;
  assert.equal(pour?.peer?.samples.length, 1);
  assert.ok((p99?.samples[0] ?? 100) < 50, `P99 off by ${p99?.samples.join()} %`);
});
