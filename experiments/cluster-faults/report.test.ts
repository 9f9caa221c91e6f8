import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shardOf } from '../../core/ring/shard';
import { type Row, provedNothing, report, rowText, wasRefused } from './report';
import { feedOf } from './schedule';

const row = (number: number, agreedMs: number | null): Row => ({
  number,
  fault: 'quorumLost',
  who: ['etcd-1', 'etcd-2'],
  holdMs: 6_000,
  lot: 0.25,
  refused: null,
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

const STALE_WRITER = { ...row(2, 100), fault: 'staleWriter', who: [] } as const;
const STALE_OWNER = { ...row(3, 100), fault: 'staleOwner', who: ['ctl-1', 'edge-2'] } as const;

test('a stale owner is refused by its own edge, a stale writer under its own shard, while it lasts', () => {
  const shard = shardOf(feedOf(STALE_WRITER));
  const refused = {
    kind: 'refused',
    controller: 'ctl-1',
    shard,
    token: 5,
    by: 'etcd',
    atMs: 5,
  } as const;
  const fence = { shard: 7, clusterIncarnation: 1, ownerRevision: 5 };
  const unheard = { kind: 'unheard', edge: 'edge-2', heard: fence, held: fence, atMs: 5 } as const;
  assert.equal(wasRefused(STALE_WRITER, [refused]), true);
  assert.equal(
    wasRefused(STALE_WRITER, [{ ...refused, shard: (shard + 1) % 256 }, unheard]),
    false,
  );
  assert.equal(wasRefused(STALE_OWNER, [unheard]), true);
  assert.equal(wasRefused(STALE_OWNER, [{ ...unheard, edge: 'edge-1' }, refused]), false);
  assert.equal(wasRefused(row(1, 100), [refused, unheard]), null);
});

test('each that had nothing refused is told; a run with nothing else of its kind proves nothing', () => {
  const idle: Row = { ...STALE_OWNER, refused: false };
  const proof: Row = { ...STALE_OWNER, number: 4, refused: true };
  assert.deepEqual(provedNothing([row(1, 100), idle, { ...STALE_WRITER, refused: true }]), [
    'staleOwner',
  ]);
  assert.deepEqual(provedNothing([idle, proof]), []);
  assert.match(
    rowText(idle),
    /^3\. staleOwner ctl-1 edge-2 for 6\.0 s, nothing of it refused: well after/,
  );
  assert.match(report([idle, proof])[0] ?? '', /^ {2}2 × an owner .*, 1 had nothing refused$/);
});
