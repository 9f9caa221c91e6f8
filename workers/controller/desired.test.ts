import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyValue, WatchItem } from '../../adapters/etcd/port';
import { keys } from '../../core/model/keys';
import { exampleService } from '../../core/model/testing';
import { valueText } from '../../core/model/values';
import { shardOf } from '../../core/ring/shard';
import { DesiredState } from './desired';
import { nodeResource } from './testing/resources';

let revision = 10;
const entry = (key: string, value: string): KeyValue => ({
  key,
  value: Buffer.from(value),
  createRevision: ++revision,
  modRevision: revision,
  version: 1,
  leaseId: null,
});
const put = (key: string, value: string): WatchItem => ({ kind: 'put', entry: entry(key, value) });
const snapshot = (...entries: KeyValue[]): WatchItem => ({ kind: 'snapshot', revision, entries });

const nodeValue = (name: string) =>
  valueText({ resource: nodeResource(name, 1), deletionRevision: null });
const freeze = (frozen: boolean) => valueText({ frozen, reason: '', by: 'root', atMs: 1 });
const active = valueText({ phase: 'active' });

/** One node that is active. */
function withNode(): DesiredState {
  const desired = new DesiredState();
  desired.apply(snapshot(entry(keys.node('a'), nodeValue('a')), entry(keys.phase('a'), active)));
  return desired;
}

test('a node has a spec once it has a phase; its revision is that of the newest key', () => {
  const desired = new DesiredState();
  assert.equal(desired.ready, false);
  desired.apply(snapshot(entry(keys.node('a'), nodeValue('a'))));
  assert.equal(desired.ready, true);
  assert.equal(desired.of('a').spec, null);
  assert.deepEqual(desired.apply(put(keys.phase('a'), active)), { nodes: ['a'] });
  assert.equal(desired.of('a').spec?.revision, revision);
  assert.equal(desired.of('a').spec?.phase, 'active');
  assert.deepEqual(desired.shards(), [shardOf('a')]);
});

test('freezing all concerns all, freezing one concerns that one', () => {
  const desired = withNode();
  const before = desired.of('a').hash;
  assert.equal(desired.apply(put(keys.freeze, freeze(true))), 'all');
  assert.deepEqual(desired.of('a').spec?.frozen, { node: false, global: true });
  assert.deepEqual(desired.apply(put(keys.override('a'), freeze(true))), { nodes: ['a'] });
  assert.deepEqual(desired.of('a').spec?.frozen, { node: true, global: true });
  desired.apply(put(keys.freeze, freeze(false)));
  desired.apply(put(keys.override('a'), freeze(false)));
  assert.equal(desired.of('a').hash, before);
});

test('what is missing from a snapshot is gone', () => {
  const desired = withNode();
  desired.apply(snapshot(entry(keys.node('b'), nodeValue('b'))));
  assert.deepEqual(desired.names(), ['b']);
  assert.equal(desired.of('a').nodeRevision, null);
});

test('a value that cannot be read changes nothing and is named', () => {
  const desired = withNode();
  desired.apply(put(keys.freeze, freeze(true)));
  const before = desired.of('a').hash;
  for (const key of [keys.freeze, keys.node('a'), keys.phase('a')]) {
    desired.apply(put(key, '{"frozen":"no"}'));
  }
  assert.equal(desired.of('a').hash, before);
  assert.deepEqual([...desired.problems.keys()].sort(), [
    keys.freeze,
    keys.node('a'),
    keys.phase('a'),
  ]);
  desired.apply(put(keys.freeze, freeze(false)));
  assert.equal(desired.problems.has(keys.freeze), false);
});

test('a service and the keys that go with it concern the nodes of its selector, and those it left', () => {
  const desired = new DesiredState();
  const labelled = (name: string, tier: string): KeyValue => {
    const resource = nodeResource(name, 1);
    const metadata = { ...resource.metadata, labels: { tier } };
    const value = { resource: { ...resource, metadata }, deletionRevision: null };
    return entry(keys.node(name), valueText(value));
  };
  desired.apply(snapshot(labelled('a', 'edge'), labelled('b', 'core'), labelled('c', 'edge')));
  for (const name of ['a', 'b', 'c']) desired.apply(put(keys.phase(name), active));
  const service = (nodes: Record<string, string>): string =>
    valueText({ resource: exampleService('web', { nodes }) });
  const names = (node: string) => desired.of(node).spec?.services.map(({ name }) => name);
  const stance = (node: string) => desired.of(node).spec?.services[0]?.commanded.stance;
  const command = { stance: 'withdraw', reason: 'r', by: 'me', atMs: 1 } as const;

  const edges = { nodes: ['a', 'c'] };
  assert.deepEqual(desired.apply(put(keys.service('web'), service({ tier: 'edge' }))), edges);
  assert.deepEqual([names('a'), names('b')], [['web'], []]);
  const traffic = valueText({ regions: { test: command } });
  assert.deepEqual(desired.apply(put(keys.traffic('web'), traffic)), edges);
  assert.equal(stance('c'), 'withdraw');
  const permits = valueText({ holders: { c: { state: 'held' } } });
  assert.deepEqual(desired.apply(put(keys.permits('web'), permits)), edges);
  assert.deepEqual(
    ['a', 'c'].map((node) => desired.of(node).spec?.services[0]?.permit),
    [false, true],
  );
  const all = { nodes: ['a', 'b', 'c'] };
  assert.deepEqual(desired.apply(put(keys.service('web'), service({ tier: 'core' }))), all);
  assert.deepEqual([names('a'), names('b')], [[], ['web']]);
  const gone = (key: string): WatchItem => ({ kind: 'delete', key, modRevision: ++revision });
  assert.deepEqual(desired.apply(gone(keys.service('web'))), { nodes: ['b'] });
  for (const key of [keys.traffic('web'), keys.permits('web')]) {
    assert.deepEqual(desired.apply(gone(key)), { nodes: [] });
  }
  assert.deepEqual([names('b'), desired.serviceNames()], [[], []]);
});

test('a command to a node concerns that node, and all of its services', () => {
  const desired = withNode();
  const command = { stance: 'deprefer', reason: 'r', by: 'me', atMs: 1 } as const;
  const routing = put(keys.routing('a'), valueText({ command }));
  assert.deepEqual(desired.apply(routing), { nodes: ['a'] });
  assert.equal(desired.of('a').spec?.revision, revision);
});

test('keys of others concern nobody', () => {
  const desired = withNode();
  assert.deepEqual(desired.apply(put(keys.heartbeat('x'), 'now')), { nodes: [] });
  assert.deepEqual(desired.apply({ kind: 'synced', revision: 99 }), { nodes: [] });
});
