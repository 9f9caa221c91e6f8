import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lackingTrust } from './commands/ca-rotate';

const certificate = (what: string, ...trusted: string[]) => ({
  what,
  expiresAtMs: 0,
  authority: trusted[0] ?? '',
  trusted,
  problem: null,
});
const lacking = (...certificates: ReturnType<typeof certificate>[]): string[] =>
  lackingTrust(certificates, { old: 'old', next: 'next' }).map(({ what }) => what);

test('who goes by the old authority has to believe the next one before it signs', () => {
  assert.deepEqual(lacking(certificate('controller', 'old'), certificate('etcd', 'old', 'next')), [
    'controller',
  ]);
});

test('a Temporal with an authority of its own, or of the system, holds no rotation up', () => {
  const own = certificate('controller', 'old', 'next');
  assert.deepEqual(lacking(own, certificate('temporal', 'theirs')), []);
  assert.deepEqual(lacking(own, certificate('temporal')), []);
});
