import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { FEATURES, probeFeatures } from './features';
import { NETNS_DIR } from './netns';
import { kernelHandles } from './test-support';

test('each feature is tried once, and nothing is left of the trial', async () => {
  const features = await probeFeatures();
  assert.deepEqual(
    features.map(({ name, state, reason }) => [name, state, reason]),
    FEATURES.map(({ name }) => [name, 'supported', '']),
  );
  assert.ok(!readdirSync(NETNS_DIR).some((name) => name.startsWith('aether-probe')));
  assert.deepEqual(
    kernelHandles().filter((handle) => !handle.startsWith('socket:')),
    [],
  );
});
