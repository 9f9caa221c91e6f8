import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { MARK_VARIABLE, identify, isAlive, processesOf, signal } from './identity';
import { eventually } from './wait';

test('a process is its pid and its start time together', async () => {
  const child = spawn('sleep', ['60']);
  const identity = identify(child.pid ?? 0);
  assert.ok(identity !== null && isAlive(identity));
  assert.equal(isAlive({ ...identity, startTicks: '1' }), false, 'the pid of somebody else');
  assert.equal(signal({ ...identity, startTicks: '1' }, 'SIGKILL'), false);
  assert.ok(isAlive(identity), 'who was not meant was not hit');
  assert.equal(signal(identity, 'SIGKILL'), true);
  await once(child, 'exit');
  assert.equal(isAlive(identity), false);
  assert.equal(identify(child.pid ?? 0), null);
});

test('processes are found by their mark, with their children, and no others', async () => {
  const mark = `/nowhere/${process.pid}`;
  const env = { PATH: process.env['PATH'], [MARK_VARIABLE]: mark };
  const marked = spawn('sh', ['-c', 'sleep 60 & wait'], { env, detached: true });
  const other = spawn('sleep', ['60'], { env: { ...env, [MARK_VARIABLE]: `${mark}1` } });
  try {
    const found = await eventually(
      'shell and child are found',
      () => {
        const all = processesOf(mark);
        return all.length === 2 ? all : null;
      },
      { within: 5_000 },
    );
    assert.ok(found.some(({ pid }) => pid === marked.pid));
    assert.ok(!found.some(({ pid }) => pid === other.pid));
  } finally {
    process.kill(-(marked.pid ?? 0), 'SIGKILL');
    other.kill('SIGKILL');
  }
});
