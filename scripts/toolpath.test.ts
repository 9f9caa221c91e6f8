import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { it, type TestContext } from 'node:test';

const script = join(__dirname, '../../scripts/toolpath.sh');

/** Runs a line of bash after toolpath.sh, as below a `sudo` that has reset PATH and HOME. */
function bash(line: string): string {
  return execFileSync('bash', ['-c', `. "$0"; ${line}`, script], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/nonexistent' },
    encoding: 'utf8',
  }).trim();
}

/** Executables that print these, in a folder that goes with the test. */
function fakes(t: TestContext, versions: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'aether-fakes-'));
  for (const [path, version] of Object.entries(versions)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), `#!/bin/sh\necho '${version}'\n`, { mode: 0o755 });
  }
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

it('versions are compared by number, not by letter', () => {
  const cases = ['20.3.0 20.3.0 yes', '20.10.0 20.3.0 yes', '20.2.9 20.3.0 no', '1.24 1.24 yes'];
  cases.push('1.9.1 1.24 no', '1.26.8 1.24 yes', '18.20.0 20.3.0 no');
  for (const each of cases) {
    const [have = '', least = '', expected] = each.split(' ');
    assert.equal(bash(`at_least ${have} ${least} && echo yes || echo no`), expected, each);
  }
});

it('the first Node that is new enough is taken, also when an older one comes before it', (t) => {
  const versions = { 'old/node': 'v18.20.4', 'new/node': 'v20.11.0', 'newer/node': 'v22.1.0' };
  const folder = fakes(t, versions);
  const find = `find_tool node 20.3.0 /absent/node ${folder}/old/node ${folder}/new/node ${folder}/newer/node`;
  assert.equal(bash(find), `${folder}/new/node`);
  assert.equal(bash(`find_tool node 20.3.0 ${folder}/old/node || echo none`), 'none');
});

it('the version of Go is read from what go itself says', (t) => {
  const folder = fakes(t, { go: 'go version go1.24.1 linux/arm64' });
  assert.equal(bash(`go_version ${folder}/go`), '1.24.1');
});

it('what is missing is named, with what to do', () => {
  assert.match(bash('toolpath_complain node'), /^Node\.js 20\.3\.0 or newer .*\n.*nodejs\.org/);
  assert.match(bash('toolpath_complain go'), /^Go 1\.24 or newer .*\n.*go\.dev/);
});
