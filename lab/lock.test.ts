import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { withLock } from './lock';

function place(t: TestContext): { directory: string; what: string } {
  const directory = mkdtempSync(join(tmpdir(), 'aether-lock-'));
  t.after(() => {
    rmSync(directory, { recursive: true });
  });
  return { directory, what: join(directory, 'mine') };
}

/** A process that has it once it has said `in`. */
function childIn(script: string, what: string): ChildProcess {
  const lock = JSON.stringify(join(__dirname, 'lock.js'));
  const head = `const { withLock } = require(${lock}), fs = require('node:fs'), [, what] = process.argv;`;
  return spawn(process.execPath, ['-e', `${head}${script}`, what], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

test('however many want it at once, and whatever the dead have left, one has it at a time', async (t) => {
  const { directory, what } = place(t);
  const holder = childIn(
    `withLock(what, () => new Promise(() => setInterval(console.log, 10, 'in')))`,
    what,
  );
  await once(holder.stdout ?? holder, 'data');
  await assert.rejects(
    withLock(what, () => Promise.resolve()),
    new RegExp(`^Error: Process ${holder.pid} is at work`),
  );
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  // Whoever meets another one inside ends with 1.
  const work = `async () => {
    fs.writeFileSync(what + '/in', '', { flag: 'wx' });
    await new Promise((resolve) => setTimeout(resolve, 1));
    fs.rmSync(what + '/in');
    had++;
  }`;
  const contend = `let had = 0;
  (async () => {
    fs.mkdirSync(what, { recursive: true });
    const until = performance.now() + 10_000;
    while (had < 20 && performance.now() < until) {
      await withLock(what, ${work}).catch((error) => {
        if (!/is at work/.test(error.message)) { console.error(error); process.exit(1); }
      });
    }
    process.exit(had > 0 ? 0 : 2);
  })();`;
  const all = Array.from({ length: 4 }, () => childIn(contend, what));
  const codes = await Promise.all(all.map(async (one) => (await once(one, 'exit'))[0] as number));
  assert.deepEqual(codes, [0, 0, 0, 0]);
  assert.deepEqual(readdirSync(directory), ['mine'], 'nothing is left beside it');
});
