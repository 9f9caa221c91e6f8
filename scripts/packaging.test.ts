import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(__dirname, '../..');
const UNITS = join(ROOT, 'packaging/systemd');
/** Where the units expect this repository and Node. */
const INSTALLED = '/opt/aether';
const NODE = '/usr/bin/node';

const units = readdirSync(UNITS).filter((name) => name.endsWith('.service'));
const textOf = (unit: string): string => readFileSync(join(UNITS, unit), 'utf8');
const noSystemd = spawnSync('systemd-analyze', ['--version']).status !== 0;

test('each unit starts an entry point that there is', () => {
  assert.ok(units.length >= 2);
  for (const unit of units) {
    const [, script = ''] = /^ExecStart=.*\/opt\/aether\/(\S+)(?: .*)?$/m.exec(textOf(unit)) ?? [];
    assert.ok(script !== '' && existsSync(join(ROOT, script)), `${unit}: ${script}`);
  }
});

test('systemd has nothing to say against a unit', { skip: noSystemd && 'no systemd' }, (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'aether-units-'));
  t.after(() => {
    rmSync(directory, { recursive: true });
  });
  for (const unit of units) {
    const here = textOf(unit).replaceAll(INSTALLED, ROOT).replaceAll(NODE, process.execPath);
    writeFileSync(join(directory, unit), here);
    const verify = spawnSync('systemd-analyze', ['verify', join(directory, unit)], {
      encoding: 'utf8',
    });
    assert.deepEqual([verify.status, verify.stderr], [0, ''], unit);
  }
});

const missing = ['.tools/bin/gobgpd', 'dist/workflow-bundle.js'].find(
  (file) => !existsSync(join(ROOT, file)),
);
const notBuilt = missing !== undefined && `${missing} is missing: make setup`;

test('what is installed runs by itself, away from the checkout', { skip: notBuilt }, (t) => {
  const to = mkdtempSync(join(tmpdir(), 'aether-install-'));
  t.after(() => {
    rmSync(to, { recursive: true });
  });
  const run = (command: string, argv: string[], env = {}) =>
    spawnSync(command, argv, {
      cwd: to,
      env: { PATH: process.env['PATH'], ...env },
      encoding: 'utf8',
    });
  const install = run(join(ROOT, 'scripts/install'), [], { DESTDIR: to });
  assert.equal(install.status, 0, install.stderr);
  for (const unit of units) {
    const [, script = ''] = /^ExecStart=.*(\/opt\/aether\/\S+)/m.exec(textOf(unit)) ?? [];
    assert.ok(existsSync(join(to, script)), script);
    assert.ok(existsSync(join(to, 'etc/systemd/system', unit)), unit);
    // Without settings each ends at once, and by then has loaded all that it imports.
    if (!script.endsWith('.js') || unit === 'aether-bfd.service') continue;
    const { stderr, stdout } = run(process.execPath, [join(to, script)]);
    assert.match(`${stderr}${stdout}`, /AETHER_\w+/, unit);
    assert.doesNotMatch(`${stderr}${stdout}`, /Cannot find module/, unit);
  }
  const { stdout, stderr } = run(join(to, INSTALLED, 'aether'), ['schema', 'node']);
  assert.match(stdout, /"\$schema"/, stderr);
});
