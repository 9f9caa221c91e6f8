/** A process that is stopped as a whole, as SIGSTOP, a debugger or a busy host do it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { until } from '../testing/until';
import { cluster, seen } from './testing';

/** Joins, and tells of every state of every other member. */
const MEMBER = `
const { startMembership } = require(${JSON.stringify(join(__dirname, 'start.js'))});
const [, name, address] = process.argv;
startMembership({
  name, boot: 'p', listen: '127.0.0.1:0', profile: 'lan', keys: null, label: 'test', onNotice() {},
}).then(async (membership) => {
  membership.onChange(() => {
    for (const { name, state } of membership.members()) console.log(name + ' ' + state);
  });
  await membership.join([address]);
});
`;

test('a process that stands still accuses nobody when it wakes, and is nobody’s death', async (t) => {
  // The slower one: between the suspicion and the death there is time even on a busy machine.
  const [first, second] = await cluster(t, 2, { profile: 'lan' });
  assert.ok(first && second);
  const child = spawn(process.execPath, ['-e', MEMBER, 'sleeper', first.address], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  const told: string[] = [];
  createInterface(child.stdout).on('line', (line) => told.push(line));
  const others = [first, second];
  const all = (state: string): boolean =>
    others.every((one) => seen(one, 'sleeper')?.state === state);
  await until('it is listed', () => all('alive') && told.includes('m1 alive'));

  let dead = false;
  for (const one of others) one.onChange(() => (dead ||= seen(one, 'sleeper')?.state === 'dead'));
  const { incarnation: before = 0 } = seen(first, 'sleeper') ?? {};
  child.kill('SIGSTOP');
  await until('it is suspected', () => all('suspect'));
  child.kill('SIGCONT');
  await until('it is believed again', () => all('alive'));
  assert.ok((seen(first, 'sleeper')?.incarnation ?? 0) > before, 'it did not say so itself');
  assert.ok(!dead, 'it was taken for dead');
  assert.ok(!told.some((line) => line.endsWith('suspect')), told.join());

  child.kill('SIGKILL');
  await until('it is dead', () => all('dead'));
});
