/** Until its sessions go on, each module that a bfd process loads is time that its peers count. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const LOADED = `
require(process.argv[1]);
console.log(JSON.stringify(Object.keys(require.cache)));`;

test('no library is loaded before sessions go on', () => {
  const script = join(__dirname, 'process.js');
  const said = execFileSync(process.execPath, ['-e', LOADED, script], { encoding: 'utf8' });
  const loaded = JSON.parse(said) as string[];
  assert.ok(loaded.includes(script));
  assert.deepEqual(
    loaded.filter((path) => path.includes('node_modules')),
    [],
  );
  assert.ok(loaded.length < 40, `${loaded.length} modules`);
});
