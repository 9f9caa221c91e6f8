import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRun, measure, SMOKE } from './measure';

test('members are killed and stopped, ours and memberlist’s', { skip: cannotRun() }, async () => {
  const { figures } = await measure(SMOKE);
  assert.equal(figures.length, 4);
  for (const { claim, samples, peer, unit } of figures) {
    assert.equal(samples.length, 1, claim);
    assert.equal(peer?.samples.length, 1, claim);
    for (const sample of [...samples, ...peer.samples]) {
      assert.ok(unit === 'ms' ? sample > 0 : sample >= 0, `${claim}: ${sample}`);
    }
  }
});
