import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRun, measure } from './measure';

test('we and the peer read the same feeds into the same bytes', { skip: cannotRun() }, async () => {
  const figures = await measure(true);
  assert.equal(figures.length, 6);
  for (const { claim, samples, peer } of figures) {
    assert.equal(samples.length, 1, claim);
    const all = [...samples, ...(peer?.samples ?? [])];
    assert.ok(
      all.every((value) => value > 0 && value < 10_000),
      `${claim}: ${all.join()}`,
    );
  }
});
