/**
 * The same tests once more, under AddressSanitizer and UndefinedBehaviorSanitizer: the addon is built
 * with both into a tree of its own that looks like the repository, and stock node preloads them.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

const ROOT = join(__dirname, '../../..');
const TIMEOUT_MS = 200_000;
/** Those that reach all of the addon. */
const FILES = [
  'lifecycle',
  'netns',
  'rtnl',
  'watch',
  'filter/engine',
  'filter/xdp',
  'maps',
  'programs',
  'xdp-root',
  'bfd-packets',
  'host',
];

const runtime = (library: string): string =>
  execFileSync('gcc', [`-print-file-name=${library}`], { encoding: 'utf8' }).trim();

function shadowTree(t: TestContext): string {
  const tree = mkdtempSync(join(tmpdir(), 'aether-asan-'));
  t.after(() => rmSync(tree, { recursive: true }));
  const used = ['dist/core', 'dist/adapters/native', 'dist/adapters/state', 'bpf/build'];
  for (const path of used) cpSync(join(ROOT, path), join(tree, path), { recursive: true });
  const release = join(tree, 'native/build/Release');
  mkdirSync(release, { recursive: true });
  cpSync(join(ROOT, 'native/build/asan/aether_native.node'), join(release, 'aether_native.node'));
  return tree;
}

test('no test of the addon makes the sanitizers speak', { timeout: TIMEOUT_MS }, (t) => {
  const built = spawnSync('make', ['-s', '-C', join(ROOT, 'native'), 'asan'], { encoding: 'utf8' });
  assert.equal(built.status, 0, `${built.stdout}\n${built.stderr}`);
  const tree = shadowTree(t);
  const files = FILES.map((name) => join(tree, `dist/adapters/native/${name}.netns.test.js`));
  const ended = spawnSync(process.execPath, ['--test', '--test-concurrency=2', ...files], {
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    env: {
      PATH: process.env['PATH'],
      NODE_PATH: join(ROOT, 'node_modules'),
      LD_PRELOAD: `${runtime('libasan.so')} ${runtime('libubsan.so')}`,
      // V8 never frees all it has; leaks are what the lifecycle tests count, by fds.
      ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=0:exitcode=99',
      UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1:exitcode=99',
    },
  });
  const said = `${ended.stdout}\n${ended.stderr}`;
  assert.doesNotMatch(said, /AddressSanitizer|runtime error:/);
  assert.equal(ended.status, 0, said);
  assert.match(ended.stdout, /^# fail 0$/m);
  assert.doesNotMatch(ended.stdout, /^# pass 0$/m);
});
