import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runTestFile } from './run-file';

const plain = { sandboxed: false, timeoutMs: 20_000 };
const fixture = (name: string): string => `scripts/test/fixtures/${name}.ts`;

function commandOf(pid: string): string {
  return existsSync(`/proc/${pid}`) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : '';
}

async function failuresOf(name: string, manner = plain): Promise<string[]> {
  const { tests } = await runTestFile(fixture(name), manner);
  return tests.flatMap((test) => (test.ok ? [] : [`${test.name}: ${test.error}`]));
}

it('tells passed tests and skipped ones with their reason', async () => {
  const { tests } = await runTestFile(fixture('passes'), plain);
  assert.deepEqual(
    tests.map(({ name, ok, skip }) => ({ name, ok, skip })),
    [
      { name: 'a suite › passes', ok: true, skip: null },
      { name: 'a suite › is skipped', ok: true, skip: 'for a reason' },
    ],
  );
});

it('tells a failed test with its message', async () => {
  const [first, ...others] = await failuresOf('fails');
  assert.match(first ?? '', /^fails: .*two is not three/);
  assert.deepEqual(others, []);
});

it('takes a crash of the process for a failure', async () => {
  assert.match((await failuresOf('crashes')).join(), /ends well: .*SIGSEGV/);
});

it('takes a file that does not end for a failure, and ends it', async () => {
  const failures = await failuresOf('hangs', { ...plain, timeoutMs: 2_000 });
  assert.match(failures.join(), /ends in time: killed after 2000 ms/);
});

it('takes a file without tests for a failure', async () => {
  assert.match((await failuresOf('empty')).join(), /holds tests/);
});

it('takes a file that cannot be found for a failure', async () => {
  assert.match((await failuresOf('is-not-there')).join(), /ends well: .*status 1/);
});

it('takes a process left behind for a failure, and ends it', async () => {
  const failures = (await failuresOf('leaves-process')).join();
  assert.match(failures, /leaves the machine as found: left: process \d+ sleep 300/);
  const pid = /process (\d+)/.exec(failures)?.[1] ?? '';
  // A dead process that nobody has waited for yet still has a number, but no command.
  for (const deadline = Date.now() + 5_000; commandOf(pid) !== ''; await sleep(20)) {
    assert.ok(Date.now() < deadline, `process ${pid} still runs`);
  }
});
