import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { CheckedFile, decode, encode } from './checked-file';

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'aether-state-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test('what was saved is loaded, and nothing else lies beside it', async (t) => {
  const at = directory(t);
  const file = new CheckedFile<{ n: number }>(join(at, 'x.json'));
  assert.deepEqual(await file.load(), { kind: 'absent' });
  await file.save({ n: 1 });
  await file.save({ n: 2 });
  assert.deepEqual(await file.load(), { kind: 'value', value: { n: 2 } });
  assert.deepEqual(readdirSync(at), ['x.json']);
});

test('writes that overlap end in the order of their calls', async (t) => {
  const file = new CheckedFile<number>(join(directory(t), 'x.json'));
  await Promise.all(Array.from({ length: 20 }, (_, n) => file.save(n)));
  assert.deepEqual(await file.load(), { kind: 'value', value: 19 });
});

test('a crash between writing and renaming leaves the former value', async (t) => {
  const path = join(directory(t), 'x.json');
  const file = new CheckedFile<string>(path);
  await file.save('before');
  // What a process that was killed there leaves behind.
  writeFileSync(`${path}.new`, encode('after').slice(0, 90));
  assert.deepEqual(await new CheckedFile(path).load(), { kind: 'value', value: 'before' });
  await file.save('after');
  assert.deepEqual(await file.load(), { kind: 'value', value: 'after' });
});

test('a corrupt file is told, kept aside for people, and does not come back', async (t) => {
  const path = join(directory(t), 'x.json');
  const file = new CheckedFile<{ a: string }>(path);
  await file.save({ a: 'truth' });
  writeFileSync(path, readFileSync(path, 'utf8').replace('truth', 'lies!'));
  const loaded = await file.load();
  assert.deepEqual(loaded, {
    kind: 'corrupt',
    corrupt: { path, why: 'its checksum is wrong', keptAs: `${path}.corrupt` },
  });
  assert.match(readFileSync(`${path}.corrupt`, 'utf8'), /lies!/);
  assert.deepEqual(await file.load(), { kind: 'absent' });
});

test('every value comes back from its text', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      assert.deepEqual(decode(encode(value)), { value: JSON.parse(text) as unknown });
    }),
  );
});

test('cut anywhere, or with any byte changed, it is refused, never half a value', () => {
  const whole = encode({ schema: 1, list: ['a', 'b'], text: 'ü\n' });
  for (let length = 0; length < whole.length; length++) {
    assert.ok('why' in decode(whole.slice(0, length)), `cut at ${length}`);
  }
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, byte) => {
      fc.pre(whole[at] !== byte);
      assert.ok('why' in decode(whole.slice(0, at) + byte + whole.slice(at + 1)));
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => assert.ok('why' in decode(text))));
});
