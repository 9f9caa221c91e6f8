import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cluster, lackingTrust, standOf } from './rotation-stand';
import type { Leaf } from '../adapters/ca/rotation';

const certificate = (what: string, ...trusted: string[]) => ({
  what,
  expiresAtMs: 0,
  authority: trusted[0] ?? '',
  trusted,
  problem: null,
});
const leaf = (role: Leaf['role'], id: string): Leaf => ({ role, id, certPath: '', keyPath: '' });
const edge = (name: string, certificateIssuedAtMs: number | null, connected = true) => ({
  name,
  connected,
  certificateIssuedAtMs,
});
const stand = (cluster: Cluster | null, ...reissued: Leaf[]) =>
  standOf('finish', { old: 'old', next: 'next', reissued, pending: [] }, cluster, () => 1_000);

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

test('every controller is asked for what it shows and what it trusts', () => {
  const controllers = [
    { id: 'c1', certificates: [certificate('controller', 'next', 'old')] },
    { id: 'c2', certificates: [certificate('controller', 'old', 'next')] },
    { id: 'c3', certificates: [certificate('controller', 'next'), certificate('etcd', 'old')] },
    { id: 'c4', certificates: null },
    { id: 'c5' } as unknown as Cluster['controllers'][number],
  ];
  const { behind, unasked } = stand({ controllers, nodes: [] }, leaf('controller', 'c9'));
  assert.deepEqual(behind, [
    'controller/c2: shows one of the old authority (controller)',
    'controller/c3: shows one of the old authority (etcd)',
    'controller/c3: trusts the old authority alone (etcd)',
  ]);
  assert.deepEqual(unasked, [
    'controller/c4: it is not heard, or too old to tell',
    'controller/c5: it is not heard, or too old to tell',
    'controller/c9: it is not registered',
  ]);
});

test('an edge has come along once it has shown its new certificate', () => {
  const nodes = [
    edge('new', 1_000),
    edge('old', 999),
    edge('none', null),
    edge('away', 999, false),
    edge('away-new', 1_000, false),
    edge('foreign', 5_000),
  ];
  const leaves = ['new', 'old', 'none', 'away', 'away-new', 'unknown'].map((id) =>
    leaf('edge', id),
  );
  const { behind, unasked } = stand({ controllers: [], nodes }, ...leaves, leaf('etcd', 'etcd-1'));
  assert.deepEqual(behind, [
    'edge/old: has not shown its new certificate',
    'edge/none: has not shown its new certificate',
  ]);
  assert.deepEqual(unasked, [
    'edge/away: is not connected',
    'edge/foreign: its certificate is not of this directory',
    'edge/unknown: there is no node of that name',
    'etcd/etcd-1: members of etcd are not asked',
  ]);
});

test('where no controller answers, nobody was asked', () => {
  const { behind, unasked } = stand(null, leaf('edge', 'fra-1'));
  assert.deepEqual([behind, unasked], [[], ['edge/fra-1: no controller answers']]);
});

test('before the new authority signs, whoever may not trust it is named, in reach or not', () => {
  const controllers = [
    { id: 'c1', certificates: [certificate('controller', 'old', 'next')] },
    { id: 'c2', certificates: [certificate('controller', 'old')] },
    { id: 'c3', certificates: null },
  ];
  const nodes = [edge('here', 1_000), edge('away', 1_000, false), edge('shown', 1_000)];
  const rotation = {
    old: 'old',
    next: 'next',
    reissued: [leaf('edge', 'shown')],
    pending: [leaf('edge', 'here'), leaf('etcd', 'etcd-1'), leaf('viewer', 'vi')],
  };
  const { behind, unasked } = standOf('reissue', rotation, { controllers, nodes }, () => 1_000);
  assert.deepEqual(behind, ['controller/c2: trusts the old authority alone (controller)']);
  assert.deepEqual(unasked, [
    'controller/c3: it is not heard, or too old to tell',
    'edge/here: edges do not tell what they trust',
    'edge/away: is not connected',
    'etcd/etcd-1: members of etcd are not asked',
  ]);
});
