import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRunLabs } from '../../lab/testing';
import { soak } from './measure';

test('a short soak mends all it breaks', { skip: cannotRunLabs(), timeout: 120_000 }, async (t) => {
  const { figures, details } = await soak({
    seconds: 8,
    seed: 7,
    nodes: 1,
    etcds: 1,
    snapshotEveryS: 0,
    progress: (line) => t.diagnostic(line),
  });
  const [converged, memory, ...others] = figures;
  assert.ok(converged && converged.samples.length >= 4);
  assert.ok(converged.samples.every((seconds) => seconds > 0 && seconds < 60));
  assert.equal(memory?.samples.length, 2, 'one controller, one agent');
  assert.equal(others.length, 5);
  assert.ok((details as { snapshots: unknown[] }).snapshots.length >= 4);
});
