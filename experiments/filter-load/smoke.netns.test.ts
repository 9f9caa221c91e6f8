import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRun, measure } from './measure';

const options = { skip: cannotRun(), timeout: 90_000 };

test('lists are loaded, swapped and edited, and each is weighed', options, async () => {
  const figures = await measure(true);
  assert.equal(figures.length, 13);
  for (const { claim, samples } of figures) {
    assert.ok(samples.length > 0, claim);
    // Other processes take and give back kernel memory meanwhile.
    assert.ok(
      samples.every((value) => value > -500 && value < 20_000),
      `${claim}: ${samples.join()}`,
    );
  }
});
