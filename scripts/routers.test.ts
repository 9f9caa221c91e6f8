import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';

const script = join(__dirname, '../../scripts/routers.sh');

/** A machine whose apt installs what `apt` says: packages are files, and calls of systemctl lines. */
function machine(t: TestContext, apt: string) {
  const folder = mkdtempSync(join(tmpdir(), 'aether-routers-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [policy, routers, calls] = ['policy', 'routers', 'calls'].map((name) => join(folder, name));
  mkdirSync(join(folder, 'installed'));
  const tools = {
    'apt-get': `cd ${folder}/installed; [ -x ${policy} ] || exit 9; ${apt}`,
    'dpkg-query': `for package; do :; done; [ -e ${folder}/installed/$package ] && echo installed`,
    systemctl: `echo "$*" >>${calls}`,
  };
  mkdirSync(join(folder, 'bin'));
  for (const [name, text] of Object.entries(tools)) {
    writeFileSync(join(folder, 'bin', name), `#!/bin/bash\n${text}\n`, { mode: 0o755 });
  }
  const bash = (line: string): number | null =>
    spawnSync('bash', ['-c', `. "$0"; ${line}`, script], {
      env: { PATH: `${folder}/bin:/usr/bin:/bin`, POLICY: policy, ROUTERS: routers },
    }).status;
  return {
    bash,
    disabled: () =>
      existsSync(calls ?? '') ? readFileSync(calls ?? '', 'utf8').match(/(?<=disable )\w+/g) : null,
    isPending: () => existsSync(routers ?? ''),
    isForbidden: () => existsSync(policy ?? ''),
  };
}

const INSTALL = '(install_packages clang bird2 frr)';

it('what apt has installed of the routers is disabled', (t) => {
  const { bash, disabled, isPending, isForbidden } = machine(t, 'touch clang bird2 frr');
  assert.equal(bash(INSTALL), 0);
  assert.deepEqual(disabled(), ['bird', 'frr']);
  assert.deepEqual([isPending(), isForbidden()], [false, false]);
});

it('also where apt fails at another package afterwards, whose status is the answer', (t) => {
  const { bash, disabled, isPending, isForbidden } = machine(t, 'touch bird2; exit 100');
  assert.equal(bash(INSTALL), 100);
  assert.deepEqual(disabled(), ['bird']);
  assert.deepEqual([isPending(), isForbidden()], [false, false]);
});

it('also where the set-up is ended meanwhile; killed, the next one does it', (t) => {
  for (const signal of ['TERM', 'KILL']) {
    const { bash, disabled, isPending, isForbidden } = machine(
      t,
      `touch bird2; kill -${signal} $PPID`,
    );
    bash(`${INSTALL}; true`);
    const killed = signal === 'KILL';
    assert.deepEqual([isPending(), isForbidden()], [killed, killed], signal);
    bash('allow_routers; disable_routers');
    assert.deepEqual(disabled(), ['bird'], signal);
    assert.deepEqual([isPending(), isForbidden()], [false, false]);
  }
});

it('what was there before is left as it is', (t) => {
  const { bash, disabled, isPending } = machine(t, 'touch clang');
  assert.equal(bash('(install_packages clang)'), 0);
  assert.deepEqual([disabled(), isPending()], [null, false]);
});
