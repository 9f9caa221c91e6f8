import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import { noOxlint, oxlint } from './test/static';

const root = join(__dirname, '../..');
const skip = noOxlint() ?? false;

/** A file in a room, and the rule of .oxlintrc.json that must refuse it. */
const trespasses: readonly [path: string, code: string, rule: string][] = [
  ['core/a.ts', 'export const now = Date.now();', 'no-restricted-globals'],
  ['core/b.ts', 'export const t = performance.now();', 'no-restricted-globals'],
  ['core/c.ts', 'export const r = Math.random();', 'no-restricted-properties'],
  ['core/d.ts', "console.log('x');", 'no-console'],
  ['workflows/a.ts', "import fs from 'node:fs';\nfs.rmSync('x');", 'no-restricted-imports'],
  ['activities/a.ts', "export const home = process.env['HOME'];", 'no-process-env'],
  ['adapters/a.ts', "export const home = process.env['HOME'];", 'no-process-env'],
  ['lab/a.ts', "export const home = process.env['HOME'];", 'no-process-env'],
  ['workers/edge/a.ts', "export const home = process.env['HOME'];", 'no-process-env'],
  ['workers/a.ts', 'export default 1;', 'no-default-export'],
  ['workers/b.ts', 'export const x: any = 1;', 'no-explicit-any'],
  ['cli/a.ts', 'export const same = (a: number, b: number) => a == b;', 'eqeqeq'],
];

it('the linter refuses each trespass, in the room where it is one', { skip }, async () => {
  const house = mkdtempSync(join(tmpdir(), 'aether-walls-'));
  try {
    cpSync(join(root, '.oxlintrc.json'), join(house, '.oxlintrc.json'));
    for (const [path, code] of trespasses) {
      mkdirSync(dirname(join(house, path)), { recursive: true });
      writeFileSync(join(house, path), `${code}\n`);
    }
    writeFileSync(
      join(house, 'workers/fine.ts'),
      "export const at = [Date.now(), process.env['X']];\n",
    );
    const said = await lint(house);
    for (const [path, , rule] of trespasses) {
      const found = said.some((line) => line.startsWith(`${path}:`) && line.includes(`(${rule})`));
      assert.ok(found, `${rule} did not refuse ${path}; it said:\n${said.join('\n')}`);
    }
    assert.deepEqual(
      said.filter((line) => line.startsWith('workers/fine.ts')),
      [],
    );
  } finally {
    rmSync(house, { recursive: true });
  }
});

function lint(folder: string): Promise<string[]> {
  return new Promise((resolve) => {
    execFile(process.execPath, [oxlint, '-f', 'unix'], { cwd: folder }, (_failed, out) =>
      resolve(out.split('\n')),
    );
  });
}
