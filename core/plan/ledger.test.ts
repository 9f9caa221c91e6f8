import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ledger, ObservedHost } from '../model/host';
import { delta } from './delta';
import { intend, record, settle } from './ledger';
import { newNetns } from './model-netns';
import { observeScope } from './observe-scope';
import * as steps from './steps';
import { BARE_HOST, EXAMPLE, linkNamed, specOf } from './testing';

const KEY = 'net.ipv4.ip_forward';
const EMPTY: Ledger = { namespaces: {}, sysctls: {} };
const INTENT: Ledger = { namespaces: { edge: { inode: null } }, sysctls: {} };
const KNOWN: Ledger = {
  namespaces: { edge: { inode: 5 } },
  sysctls: { [`edge/${KEY}`]: { inode: 5, former: '0' } },
};

const withEdge = (inode: number, value = '1', foreign = false): ObservedHost => {
  const netns = newNetns(inode);
  if (foreign) netns.links.push(linkNamed('theirs0', 9, 'veth'));
  const edge = { state: 'mounted' as const, ...netns, sysctls: { [KEY]: value } };
  return { ...BARE_HOST, namespaces: { edge } };
};

const create = [steps.createNamespace('edge')];
const set = [steps.setSysctl('edge', KEY, '1', '0')];

test('an intent is written before, the inode after', () => {
  const intent = intend(EMPTY, create, BARE_HOST);
  assert.deepEqual(intent, INTENT);
  assert.deepEqual(record(intent, create, [{ ok: true, inode: 5 }]).namespaces, {
    edge: { inode: 5 },
  });
});

test('a creation that surely changed nothing leaves no intent; one that may have, does', () => {
  const failed = (changed: boolean | null) =>
    record(INTENT, create, [{ ok: false, code: 'EEXIST', message: '', changed }]);
  assert.deepEqual(failed(false), EMPTY);
  assert.deepEqual(failed(null), INTENT);
});

test('the first value before ours is kept, whatever drifts later', () => {
  const first = intend({ ...KNOWN, sysctls: {} }, set, withEdge(5, '0'));
  assert.deepEqual(first, KNOWN);
  assert.equal(intend(KNOWN, set, withEdge(5, '7')), KNOWN);
});

test('a value of another namespace of that name is not the value before ours', () => {
  const stale = { ...KNOWN, namespaces: { edge: { inode: 6 } } };
  const { sysctls } = intend(stale, set, withEdge(6, '7'));
  assert.deepEqual(sysctls, { [`edge/${KEY}`]: { inode: 6, former: '7' } });
});

test('what was meant and is there is taken on, unless strangers are in it', () => {
  assert.deepEqual(settle(INTENT, EXAMPLE, withEdge(5)).namespaces, { edge: { inode: 5 } });
  assert.equal(settle(INTENT, EXAMPLE, withEdge(5, '1', true)), INTENT);
});

test('what is gone, or has become another, is forgotten', () => {
  assert.deepEqual(settle(KNOWN, EXAMPLE, BARE_HOST), EMPTY);
  assert.deepEqual(settle(KNOWN, EXAMPLE, withEdge(6)), EMPTY);
});

test('what is still so is the very same ledger: nothing is written', () => {
  assert.equal(settle(KNOWN, EXAMPLE, withEdge(5)), KNOWN);
  assert.equal(intend(KNOWN, [steps.addRoute('edge', '::/0', 'fd10:1::1')], BARE_HOST), KNOWN);
});

test('a former value is owed until it is back', () => {
  const nothing = specOf([{ name: 'edge', links: [], routes: [], sysctls: {} }]);
  assert.equal(settle(KNOWN, nothing, withEdge(5, '1')), KNOWN);
  assert.deepEqual(settle(KNOWN, nothing, withEdge(5, '0')).sysctls, {});
});

test('what is looked at: all that the spec names, and all that the ledger holds', () => {
  const ledger: Ledger = {
    namespaces: { old: { inode: 4 } },
    sysctls: { 'edge/net.core.somaxconn': { inode: 5, former: '128' } },
  };
  assert.deepEqual(observeScope(EXAMPLE, ledger), {
    namespaces: ['edge', 'old'],
    sysctls: { edge: [KEY, 'net.core.somaxconn'], old: [] },
    filters: ['uplink0'],
  });
});

test('a delta tells what is missing, what differs and what is extra', () => {
  const desired = new Map([
    ['a', 1],
    ['b', 2],
    ['c', 3],
  ]);
  const observed = new Map([
    ['b', '2'],
    ['c', '9'],
    ['d', '4'],
  ]);
  assert.deepEqual(
    delta(desired, observed, (want, have) => String(want) === have),
    { missing: [['a', 1]], differing: [['c', 3, '9']], extra: [['d', '4']] },
  );
});
