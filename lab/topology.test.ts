import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { overlaps, parsePrefix } from '../core/model/prefix';
import type { NodeResource } from '../core/model/node';
import { DEFAULT_BFD, DEFAULT_BGP, DEFAULT_NEIGHBOR } from '../core/model/schema-routing';
import { ROUTER_ASN, peeringOf } from './peering';
import { hostsOf, wholeAether } from './topology';
import type { Topology } from './topology';
import { exampleNode } from './testing';

/** IFNAMSIZ is 16 with the closing zero. */
const NAME_MAX = 15;

const made = (edges: number, etcds: number, controllers: number): Topology =>
  wholeAether(
    Array.from({ length: edges }, (_, i) => exampleNode(`node-${i + 1}`, (i % 250) + 1)),
    { etcds, controllers },
  );

const size = fc.tuple(fc.integer({ min: 0, max: 600 }), fc.integer({ min: 1, max: 9 }));

test('every host has a name and an address of its own, below 198.18.0.0/15', () => {
  fc.assert(
    fc.property(size, ([edges, count]) => {
      const { hosts } = made(edges, count, count);
      assert.equal(new Set(hosts.map(({ name }) => name)).size, hosts.length);
      assert.equal(new Set(hosts.map(({ address }) => address)).size, hosts.length);
      for (const { address } of hosts) assert.match(address, /^198\.18\.\d+\.\d+$/);
    }),
    { numRuns: 20 },
  );
});

test('no two links overlap, and all names fit the kernel', () => {
  const { links } = made(600, 1, 1);
  for (const { name } of links.flatMap((link) => link.ends))
    assert.ok(name.length <= NAME_MAX, name);
  assert.equal(new Set(links.map(({ name }) => name)).size, links.length);
  const networks = links
    .filter(({ ends }) => !ends[0].bridged)
    .flatMap(({ ends }) => {
      return ends[0].addresses.map((text) => parsePrefix(text) ?? assert.fail(text));
    });
  const inOrder = networks.sort((a, b) => a.family - b.family || (a.bits < b.bits ? -1 : 1));
  for (const [i, one] of inOrder.entries()) {
    const next = inOrder[i + 1];
    assert.ok(next === undefined || next.family !== one.family || !overlaps(one, next));
  }
});

test('an edge hangs on its router and on the management network, nothing else', () => {
  const topology = made(2, 3, 1);
  for (const { name } of hostsOf(topology, 'edge')) {
    const peers = topology.links
      .filter(({ ends }) => ends.some(({ host }) => host === name))
      .map(({ ends }) => ends.find(({ host }) => host !== name)?.host);
    assert.deepEqual(peers, ['fabric', 'router-test']);
  }
});

const eastern = { ...exampleNode('nyc-1', 3) };
const twoRegions: NodeResource[] = [
  exampleNode('fra-1', 1),
  { ...eastern, metadata: { ...eastern.metadata, region: 'us-east' } },
];

test('routers, edges and the client know the way to what each namespace will hold', () => {
  const { routes } = wholeAether(twoRegions, { etcds: 1, controllers: 1 });
  assert.deepEqual(
    routes
      .filter(({ to }) => !to.includes(':'))
      .map(({ host, to, via }) => `${host}: ${to} ${via}`),
    [
      'router-test: 10.10.1.2/30 198.19.0.2',
      'fra-1: 0.0.0.0/0 198.19.0.1',
      'router-us-east: 10.10.3.2/30 198.19.0.6',
      'nyc-1: 0.0.0.0/0 198.19.0.5',
      'router-test: 198.19.0.6/30 198.19.240.2',
      'router-test: 10.10.3.2/30 198.19.240.2',
      'router-us-east: 198.19.0.2/30 198.19.240.1',
      'router-us-east: 10.10.1.2/30 198.19.240.1',
      'router-us-east: 198.19.255.0/24 198.19.240.1',
      'client: 0.0.0.0/0 198.19.255.1',
    ],
  );
});

test('links have names by which they are cut, at the end that is not of Aether', () => {
  const { links } = wholeAether(twoRegions, { etcds: 1, controllers: 1 });
  const named = (name: string): string | undefined =>
    links
      .find((link) => link.name === name)
      ?.ends.map(({ host }) => host)
      .join(' ');
  assert.equal(named('fra-1'), 'router-test fra-1');
  assert.equal(named('test:us-east'), 'router-test router-us-east');
  assert.equal(named('client'), 'router-test client');
  assert.equal(named('mgmt:nyc-1'), 'fabric nyc-1');
});

/** As examples/lab will have it. */
const speaking = twoRegions.map((node, index): NodeResource => {
  const addresses = [`198.19.0.${index * 4 + 1}`, `fd00:198:19:${index + 1}::1`];
  const neighbors = addresses.map((address) => ({
    ...DEFAULT_NEIGHBOR,
    address,
    asn: ROUTER_ASN + index,
    bfd: DEFAULT_BFD,
  }));
  const bgp = { ...DEFAULT_BGP, asn: 65_001 + index, routerId: `10.0.0.${index + 1}`, neighbors };
  return { ...node, spec: { ...node.spec, bgp } };
});

test('no node speaks BGP: no router does, and there is no observer', () => {
  const topology = wholeAether(twoRegions, { etcds: 1, controllers: 1 });
  assert.deepEqual(hostsOf(topology, 'observer'), []);
  assert.deepEqual(peeringOf(topology, twoRegions), []);
});

test('each router peers with its edges, the other routers and the observer', () => {
  const topology = wholeAether(speaking, { etcds: 1, controllers: 1 });
  const peering = peeringOf(topology, speaking);
  assert.deepEqual(
    peering.map(({ host, kind, config }) => `${host} ${kind} ${config.asn}`),
    ['router-test bird 64500', 'router-us-east frr 64501', 'observer gobgpd 64599'],
  );
  const neighbors = peering.map(({ config }) =>
    config.neighbors
      .filter(({ address }) => !address.includes(':'))
      .map(({ address, asn, bfd }) => `${address} ${asn} ${bfd?.intervalMs ?? '-'}`),
  );
  assert.deepEqual(neighbors, [
    ['198.19.0.2 65001 300', '198.19.240.2 64501 300', '198.18.5.1 64599 -'],
    ['198.19.0.6 65002 300', '198.19.240.1 64500 300', '198.18.5.1 64599 -'],
    ['198.18.4.1 64500 -', '198.18.4.2 64501 -'],
  ]);
});
