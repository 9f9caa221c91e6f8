import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';
import { runTestFile } from './run-file';

const sandboxed = { sandboxed: true, timeoutMs: 20_000 };
const links = (): string => execFileSync('ip', ['-o', 'link']).toString();

it('a link and a namespace left behind fail the file, and stay inside its sandbox', async () => {
  const before = links();
  const { tests } = await runTestFile('scripts/test/fixtures/leaves-link.ts', sandboxed);
  const left = tests.find((test) => !test.ok)?.error ?? '';
  assert.deepEqual(left.replace('left: ', '').split('\n').sort(), [
    'link left0',
    'link left1',
    'network namespace /run/netns/left-ns',
  ]);
  assert.equal(links(), before);
});

it('a process left behind fails the file and ends with its sandbox', async () => {
  const { tests } = await runTestFile('scripts/test/fixtures/leaves-process.ts', sandboxed);
  assert.match(tests.find((test) => !test.ok)?.error ?? '', /left: process \d+ sleep 300/);
});

it('a file that leaves nothing passes', async () => {
  const { tests } = await runTestFile('scripts/test/fixtures/passes.ts', sandboxed);
  assert.ok(tests.every((test) => test.ok));
});
