import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differences } from './differences';

const link = { name: 'edge0', mtu: 1500, addresses: ['10.0.0.2/30', 'fd10::2/64'] };
const node = {
  spec: { namespaces: [{ name: 'edge', links: [link], sysctls: { 'net.ipv4.ip_forward': '1' } }] },
};

/** A copy of `node` with its only link changed. */
const withLink = (change: object) => {
  const copy = structuredClone(node);
  Object.assign(copy.spec.namespaces[0]!.links[0]!, change);
  return copy;
};

test('a changed field is named by where it stands', () => {
  assert.deepEqual(differences(node, withLink({ mtu: 1400 })), [
    'spec.namespaces[edge].links[edge0].mtu: 1500 -> 1400',
  ]);
});

test('an element more or less is one line each, its place in the list none', () => {
  assert.deepEqual(differences(node, withLink({ addresses: ['fd10::2/64', '10.0.0.6/30'] })), [
    '- spec.namespaces[edge].links[edge0].addresses[10.0.0.2/30]: "10.0.0.2/30"',
    '+ spec.namespaces[edge].links[edge0].addresses[10.0.0.6/30]: "10.0.0.6/30"',
  ]);
});

test('neighbors, which have no names, are told apart by their addresses', () => {
  const bgp = (asns: readonly number[]) => ({
    neighbors: asns.map((asn, i) => ({ address: `fd00::${i}`, asn })),
  });
  assert.deepEqual(differences(bgp([64500, 64500]), bgp([64501, 64500])), [
    'neighbors[fd00::0].asn: 64500 -> 64501',
  ]);
});

test('a key that is no word is quoted', () => {
  const copy = structuredClone(node);
  copy.spec.namespaces[0]!.sysctls['net.ipv4.ip_forward'] = '0';
  assert.deepEqual(differences(node, copy), [
    'spec.namespaces[edge].sysctls["net.ipv4.ip_forward"]: "1" -> "0"',
  ]);
});

test('what is equal has no difference', () => {
  assert.deepEqual(differences(node, structuredClone(node)), []);
});
