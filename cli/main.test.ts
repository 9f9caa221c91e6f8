import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { EXIT } from './exit-codes';
import { aether } from './testing';

const DOCUMENTS = 3_000;

/** What a reader gets of standard output that begins to read only when the command would have ended. */
function readSlowly(input: string, ...argv: string[]): Promise<string> {
  const command = '"$@" | { sleep 1; cat; }';
  const main = join(__dirname, 'main.js');
  const child = spawn('sh', ['-c', command, 'sh', process.execPath, main, ...argv], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(input);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return new Promise((resolve) => child.once('close', () => resolve(text)));
}

test('a reader that takes its time gets everything, however much it is', async () => {
  const input = Array.from({ length: DOCUMENTS }, (_, i) => `kind: Unknown${i}\n`).join('---\n');
  const text = await readSlowly(input, 'validate', '--json', '-f', '-');
  assert.ok(text.length > 100_000, `${text.length} bytes: more than a pipe holds`);
  const { error } = JSON.parse(text) as { error: { message: string } };
  assert.match(error.message, new RegExp(`Unknown${DOCUMENTS - 1}`));
});

test('no time at all is not for ever: whatever ends by itself is not begun for 0s', async () => {
  const acts = [
    ['edge', 'freeze'],
    ['edge', 'drain'],
    ['edge', 'block', '192.0.2.7'],
    ['block', '192.0.2.7'],
  ];
  for (const act of acts) {
    const { code, stderr } = await aether(...act, '--for', '0s', '--socket', '/nowhere');
    assert.equal(code, EXIT.usage, stderr);
    assert.match(stderr, /"0s" is no duration/);
  }
});

test('what is wrong with the usage is JSON as well, where JSON is asked for', async () => {
  for (const argv of [
    ['get', '--jsn', '--json'],
    ['get', 'cabbages', '--json'],
    ['status', '--json', '--server', 'https://ctl.example:7702'],
  ]) {
    const { code, stdout, stderr } = await aether(...argv);
    assert.equal(code, EXIT.usage, stderr);
    const { error } = JSON.parse(stdout) as { error: { exitCode: number; message: string } };
    assert.equal(error.exitCode, EXIT.usage);
    assert.notEqual(error.message, '');
  }
  const { stdout } = await aether('get', 'cabbages', '--', '--json');
  assert.equal(stdout, '', 'that is no option of ours');
});

test('a server is a host with a port, and an IPv6 address stands in brackets', async () => {
  for (const wrong of ['https://ctl:7702', 'ctl:99999', '2001:db8::1:7702', 'ctl', 'a:7702,b']) {
    const { code, stderr } = await aether('status', '--server', wrong);
    assert.equal(code, EXIT.usage, stderr);
    assert.match(stderr, /" is no server\nWrite it as /);
  }
  for (const right of ['ctl.example:7702', '[2001:db8::1]:7702,192.0.2.1:7702']) {
    const { stderr } = await aether('status', '--server', right);
    assert.match(stderr, /^--server takes --tls-ca/);
  }
});
