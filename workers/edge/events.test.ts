import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import type { HostEvent } from '../../core/model/host';
import { gathered } from './events';
import { suspectOf } from './suspect';

const event = (kernelAtMs: number, portId: number | null = null): HostEvent => ({
  kernelAtMs,
  namespace: null,
  what: 'link',
  portId,
  summary: '',
});

test('what comes at once is told once, by its first, before anything else runs', async () => {
  const told: [number, string | null][] = [];
  const put = gathered(({ kernelAtMs }, suspect) => told.push([kernelAtMs, suspect]));
  for (const atMs of [1, 2, 3]) put(event(atMs));
  assert.deepEqual(told, []);
  await Promise.resolve();
  assert.deepEqual(told, [[1, null]]);
  put(event(4));
  await Promise.resolve();
  assert.deepEqual(told.slice(1), [[4, null]]);
});

test('whoever of them lives is named; the agent itself, the dead and the kernel are not', async (t) => {
  const sleeper = spawn('sleep', ['60']);
  t.after(() => sleeper.kill());
  await once(sleeper, 'spawn');
  const { pid } = sleeper;
  assert.ok(pid);
  const told: (string | null)[] = [];
  const put = gathered((_, suspect) => told.push(suspect));
  for (const portId of [null, 0, process.pid, 4_294_000_000, pid, pid]) put(event(1, portId));
  await Promise.resolve();
  assert.deepEqual(told, [`sleep (pid ${pid})`]);
  sleeper.kill();
  await once(sleeper, 'exit');
  assert.equal(suspectOf(pid), null);
});
