/** `aether ca` on the machine of the authority, which no controller is in reach of. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { caInit, caIssue } from '../adapters/ca/authority';
import { beginRotation, rotationOf } from '../adapters/ca/rotation';
import { aether } from './testing';

test('a rotation is finished on the word of a person, who is told for whom it was', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'aether-rotate-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  await caInit(dir);
  for (const id of ['fra-1', 'ams-1']) await caIssue(dir, { role: 'edge', id });
  await beginRotation(dir);
  const rotate = (...words: string[]) =>
    aether('ca', 'rotate', ...words, '--dir', dir, '--socket', join(dir, 'none'));
  const nobody = '  edge/ams-1: no controller answers\n  edge/fra-1: no controller answers\n';

  const early = await rotate('reissue', '--confirmed', 'edge/ams-1');
  assert.equal(early.code, 1, early.stdout);
  assert.ok(early.stderr.includes('  edge/fra-1: no controller answers\nNothing was written.'));
  assert.doesNotMatch(early.stderr, /  edge\/ams-1/);
  assert.match(early.stderr, new RegExp(`reissue --dir ${dir} --confirmed edge/ams-1 edge/fra-1`));
  assert.equal(rotationOf(dir).stage, 'begun');
  const reissued = await rotate('reissue', '--confirmed', 'edge/ams-1', 'edge/fra-1');
  assert.equal(reissued.code, 0, reissued.stderr);
  assert.equal(reissued.stderr, `Taken on your word:\n${nobody}`);

  const refused = await rotate('finish');
  assert.equal(refused.code, 1, refused.stdout);
  assert.ok(refused.stderr.includes(nobody), refused.stderr);
  assert.match(refused.stderr, /Nothing was written\..*--confirmed/s);
  assert.equal(rotationOf(dir).stage, 'reissuing');

  const finished = await rotate('finish', '--confirmed');
  assert.equal(finished.code, 0, finished.stderr);
  assert.ok(finished.stderr.endsWith(`Taken on your word:\n${nobody}`), finished.stderr);
  assert.equal(rotationOf(dir).stage, 'none');
  const none = JSON.parse((await rotate('--json')).stdout) as { pending: unknown[] };
  assert.deepEqual(none.pending, []);

  const again = await aether('ca', 'issue', 'edge', 'fra-1', '--again', '--dir', dir);
  assert.match(again.stdout, /^Made .*edge\/fra-1\.pem/, again.stderr);
  const both = await aether('ca', 'issue', 'edge', 'fra-1', '--again', '--days', '3', '--dir', dir);
  assert.equal(both.code, 2, both.stdout);
});
