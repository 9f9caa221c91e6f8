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
function labelled(name: string, tier: string): string {
  const resource = nodeResource(name, 1);
  const metadata = { ...resource.metadata, labels: { tier } };
  return valueText({ resource: { ...resource, metadata }, deletionRevision: null });
}
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

/** As a controller that begins finds them: two nodes with a service, which nobody has frozen or drained. */
function found(spoilt: readonly string[]): DesiredState {
  const command = { stance: 'withdraw', reason: 'r', by: 'me', atMs: 1 } as const;
  const values: [string, string][] = [
    ...['a', 'b'].flatMap((node): [string, string][] => [
      [keys.node(node), labelled(node, 'edge')],
      [keys.phase(node), active],
      [keys.routing(node), valueText({ command })],
      [keys.override(node), freeze(true)],
    ]),
    [keys.freeze, freeze(true)],
    [keys.service('web'), valueText({ resource: exampleService() })],
    [keys.traffic('web'), valueText({ regions: {} })],
    [keys.permits('web'), valueText({ holders: {} })],
    [keys.feed('spam'), '{}'],
  ];
  const desired = new DesiredState();
  const text = ([key, value]: [string, string]): KeyValue =>
    entry(key, spoilt.includes(key) ? '{"of":"a later version"}' : value);
  desired.apply(snapshot(...values.map(text)));
  return desired;
}

const compiledOf = (desired: DesiredState) =>
  ['a', 'b'].filter((node) => desired.of(node).spec !== null);

test('who begins after a key that cannot be read compiles nothing for whom it may concern', () => {
  assert.deepEqual(compiledOf(found([])), ['a', 'b']);
  for (const key of [keys.node('a'), keys.phase('a'), keys.routing('a'), keys.override('a')]) {
    const desired = found([key]);
    assert.deepEqual(compiledOf(desired), ['b'], key);
    assert.deepEqual([desired.of('a').unread, desired.of('b').unread], [key, null]);
  }
  for (const key of [keys.freeze, keys.service('web'), keys.traffic('web'), keys.permits('web')]) {
    const desired = found([key]);
    assert.deepEqual(compiledOf(desired), [], key);
    assert.deepEqual([...desired.problems.keys()].sort(), [keys.feed('spam'), key].sort());
  }
});

test('what could not be read is compiled as soon as it is mended, deleted, or gone', () => {
  const key = keys.freeze;
  const mended = found([key]);
  assert.equal(mended.apply(put(key, freeze(true))), 'all');
  assert.deepEqual(mended.of('a').spec?.frozen, { node: true, global: true });
  const deleted = found([key]);
  assert.equal(deleted.apply({ kind: 'delete', key, modRevision: ++revision }), 'all');
  assert.deepEqual(deleted.of('a').spec?.frozen, { node: true, global: false });
  const gone = found([key]);
  gone.apply(snapshot(entry(keys.node('a'), nodeValue('a')), entry(keys.phase('a'), active)));
  assert.deepEqual([compiledOf(gone), [...gone.problems]], [['a'], []]);
});

test('what was read stands over a list that is read anew; what came since, unreadable, changes nothing', () => {
  const desired = withNode();
  desired.apply(put(keys.freeze, freeze(true)));
  const before = desired.of('a').hash;
  const spoilt = [keys.node('a'), keys.phase('a'), keys.freeze, keys.service('new')];
  desired.apply(snapshot(...spoilt.map((key) => entry(key, '{}'))));
  assert.equal(desired.problems.size, 4);
  assert.equal(desired.of('a').hash, before);
});

test('a service and the keys that go with it concern the nodes of its selector, and those it left', () => {
  const desired = new DesiredState();
  const node = (name: string, tier: string) => entry(keys.node(name), labelled(name, tier));
  desired.apply(snapshot(node('a', 'edge'), node('b', 'core'), node('c', 'edge')));
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
