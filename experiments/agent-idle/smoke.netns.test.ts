import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRunLabs } from '../../lab/testing';
import { measure } from './measure';

test('an idle agent is weighed', { skip: cannotRunLabs(), timeout: 90_000 }, async () => {
  const [memory, cpu] = await measure(true);
  assert.ok(memory && memory.samples.length > 0);
  assert.ok(
    memory.samples.every((mb) => mb > 20 && mb < 2_000),
    `MB: ${memory.samples.join()}`,
  );
  assert.ok(cpu && cpu.samples.length > 0);
  assert.ok(
    cpu.samples.every((percent) => percent >= 0 && percent < 200),
    `%: ${cpu.samples.join()}`,
  );
});
