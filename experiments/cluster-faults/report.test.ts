import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Entry } from './history';
import { type Row, provedNothing, report, rowText } from './report';

const row = (number: number, agreedMs: number | null): Row => ({
  number,
  fault: 'quorumLost',
  who: ['etcd-1', 'etcd-2'],
  holdMs: 6_000,
  recovery: agreedMs === null ? null : { reachMs: 100, acceptedMs: 200, appliedMs: 300, agreedMs },
});

test('a fault is told with whom it hit, and each kind with its recoveries', () => {
  const healed = '7. quorumLost etcd-1 etcd-2 for 6.0 s: well after 1.2 s';
  assert.ok(rowText(row(7, 1_234)).startsWith(healed), rowText(row(7, 1_234)));
  assert.match(rowText(row(8, null)), /did not heal$/);
  const rows = [row(1, 3_000), row(2, 1_000), row(3, 9_000), row(4, null)];
  const [line, ...more] = report(rows);
  assert.deepEqual(more, []);
  assert.match(
    line ?? '',
    /^ {2}4 × two members .*: well after 3\.0 s \(1\.0 s … 9\.0 s\), 1 did not heal$/,
  );
});

test('a run in which no stale owner was refused proves nothing of it', () => {
  const rows = [row(1, 100), { ...row(2, 100), fault: 'staleWriter' as const }];
  const refused = { kind: 'refused', controller: 'ctl-1', shard: 7, token: 5, by: 'etcd' } as const;
  const history: Entry[] = [{ ...refused, atMs: 5 }];
  assert.deepEqual(provedNothing(rows, []), ['staleWriter']);
  assert.deepEqual(provedNothing(rows, history), []);
  assert.deepEqual(provedNothing([{ ...row(3, 100), fault: 'staleOwner' }], history), [
    'staleOwner',
  ]);
});
