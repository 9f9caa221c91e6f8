import assert from 'node:assert/strict';
import { test } from 'node:test';
import { certificateCheck } from './commands/doctor';
import { farewell } from './commands/demo';
import { ownOptions } from './lab';

test('options of lab exec may stand behind the host; those of the command are its own', () => {
  const read = (...words: string[]) => {
    const { flags, command } = ownOptions({ name: 'default' }, words);
    return [flags.name, flags.state ?? '', ...command];
  };
  assert.deepEqual(read('ip', '--name', 'x'), ['default', '', 'ip', '--name', 'x']);
  assert.deepEqual(read('--', 'ip', 'link'), ['default', '', 'ip', 'link']);
  assert.deepEqual(read('--name', 'mine', 'ip', 'link'), ['mine', '', 'ip', 'link']);
  assert.deepEqual(read('--name=mine', '--state=/s', '--', '--odd'), ['mine', '/s', '--odd']);
  assert.throws(() => read('--json', 'ip'), /no option "--json"/);
  assert.throws(() => read('--name'), /takes a value/);
  assert.throws(() => read('--name', 'mine', '--'), /no command/);
});

test('a certificate for a Temporal with an authority of its own is no fault', () => {
  const day = 86_400_000;
  const held = { expiresAtMs: 100 * day, authority: '', trusted: ['T'], problem: null };
  const check = (what: string, over = {}) => certificateCheck({ ...held, what, ...over }, day);
  assert.equal(check('temporal').state, 'ok');
  assert.equal(
    check('temporal').found,
    'good until 1970-04-11, of another authority than its server',
  );
  assert.equal(check('etcd').state, 'missing');
  assert.equal(check('temporal', { expiresAtMs: 2 * day }).found, 'ends on 1970-01-03');
  assert.equal(check('temporal', { problem: 'no key' }).found, 'no key');
});

test("the demo's farewell means its own lab, whichever others are up", () => {
  const lines = farewell('http://127.0.0.1:8233')
    .split('\n')
    .filter((line) => line.includes('aether'));
  assert.equal(lines.length, 4);
  for (const line of lines) assert.match(line, / --(lab|name) demo\b/);
});
