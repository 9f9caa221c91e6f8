import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { processesOf } from '../lab/identity';
import { stateDirOf } from '../lab/lab';
import { LABS } from '../lab/state';
import { cannotRunLabs } from '../lab/testing';
import { ROOT } from '../lab/tools';
import { eventually } from '../lab/wait';

const skip = cannotRunLabs();

interface Demo {
  /** What it has said so far. */
  text: () => string;
  interrupt: () => void;
  ended: Promise<number | null>;
}

function demo(): Demo {
  // Labs of its own: a demo that somebody plays on this machine has the same name.
  const script = `mkdir -p ${LABS} && mount -t tmpfs tmpfs ${LABS} && exec "$@"`;
  const own = ['--mount', '--propagation', 'private', '--', 'sh', '-c', script, 'sh'];
  const command = [process.execPath, join(ROOT, 'dist/cli/main.js'), 'demo'];
  const child = spawn('unshare', [...own, ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  }
  return {
    text: () => text,
    interrupt: () => child.kill('SIGINT'),
    ended: new Promise((resolve) => child.once('close', resolve)),
  };
}

/** Its files were in a mount that ended with it. */
function assertNothingLeft(): void {
  assert.deepEqual(processesOf(stateDirOf('demo')), []);
}

test('the demo breaks, repairs and moves everything, and leaves nothing', { skip }, async () => {
  const { text, ended } = demo();
  assert.equal(await ended, 0, text());
  assert.match(text(), /14 breakages, 14 repaired\./);
  assert.match(text(), /not repaired: it is frozen/);
  assert.match(text(), /by the agent alone/);
  assert.match(text(), /serves instead: pings lost for \d+ ms, found by BFD/);
  assert.match(text(), /is empty, \S+ serves; 0 pings of one each 5 ms lost/);
  assert.match(text(), /quarantined: .*bfdDown/);
  assertNothingLeft();
});

test('the demo that is interrupted leaves nothing either', { skip }, async () => {
  const { text, interrupt, ended } = demo();
  await eventually('it is at work', () => text().includes('Four nodes'), { within: 60_000 });
  interrupt();
  assert.equal(await ended, 130, text());
  assertNothingLeft();
});
