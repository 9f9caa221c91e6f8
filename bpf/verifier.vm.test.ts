/**
 * The oldest kernel that we support (Debian's 6.1), in a virtual machine: its verifier takes the
 * programs, and its packets fare as they do here. One boot for all.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(__dirname, '../..');
/** It takes 45 s of CPU; busy machines take their time. */
const TIMEOUT_S = 540;
const FILES = [
  'bpf/headers',
  'bpf/stages',
  'bpf/rules',
  'bpf/services',
  'bpf/reflect',
  'adapters/native/xdp-root',
  'adapters/native/latency-bpf',
];
const LEAST_TESTS = 400;

test('programs load and packets are judged under the oldest kernel', () => {
  const release = readFileSync(join(ROOT, '.tools/vm/release'), 'utf8').trim();
  const files = FILES.map((name) => join(ROOT, 'dist', `${name}.netns.test.js`));
  const command = ['sh', '-c', 'uname -r; exec "$@"', 'sh', process.execPath, '--test', ...files];
  const ran = spawnSync(join(ROOT, 'scripts/vm-run'), [String(TIMEOUT_S), ...command], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  const lines = ran.stdout.split('\n');
  const wrong = lines.filter((line) => /^\s*not ok|libbpf:|^\s*error:/.test(line));
  assert.equal(ran.status, 0, [...wrong.slice(0, 40), ran.stderr].join('\n'));
  assert.equal(lines[0], release);
  const passed = Number(/^# pass (\d+)$/m.exec(ran.stdout)?.[1]);
  assert.ok(passed >= LEAST_TESTS, `${passed} tests passed`);
});
