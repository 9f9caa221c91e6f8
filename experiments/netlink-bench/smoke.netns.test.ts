import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRun, measure } from './measure';

test('our host port and its peer do the same jobs', { skip: cannotRun() }, async () => {
  const figures = await measure(true);
  assert.equal(figures.length, 3);
  for (const { claim, samples, peer } of figures) {
    assert.ok(peer && samples.length > 0 && samples.length === peer.samples.length, claim);
    const all = [...samples, ...peer.samples];
    assert.ok(
      all.every((ms) => ms > 0 && ms < 30_000),
      `${claim}: ${all.join()}`,
    );
  }
});
