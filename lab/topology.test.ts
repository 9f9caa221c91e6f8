import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { overlaps, parsePrefix } from '../core/model/prefix';
import { UPLINK, hostsOf, wholeAether } from './topology';
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

test('no link of the router overlaps another, and all names fit the kernel', () => {
  const { links } = made(600, 1, 1);
  const ends = links.flatMap((link) => link.ends);
  for (const { name } of ends) assert.ok(name.length <= NAME_MAX, name);
  const uplinks = ends.filter(({ name }) => name === UPLINK).flatMap(({ addresses }) => addresses);
  const prefixes = uplinks.map((text) => {
    const prefix = parsePrefix(text);
    assert.ok(prefix, text);
    return prefix;
  });
  const seen = new Set<string>();
  for (const prefix of prefixes) {
    assert.ok(!seen.has(`${prefix.family}/${prefix.bits}`));
    seen.add(`${prefix.family}/${prefix.bits}`);
  }
  const [first, , second] = prefixes;
  assert.ok(first && second && !overlaps(first, second));
});

test('an edge hangs on the router and on the management network, nothing else', () => {
  const topology = made(2, 3, 1);
  for (const { name } of hostsOf(topology, 'edge')) {
    const peers = topology.links
      .filter(({ ends }) => ends.some(({ host }) => host === name))
      .map(({ ends }) => ends.find(({ host }) => host !== name)?.host);
    assert.deepEqual(peers, ['fabric', 'router']);
  }
});

test('the router knows the way to what each namespace will hold', () => {
  const { routes } = made(2, 1, 1);
  assert.deepEqual(
    routes.map(({ host, to, via }) => `${host}: ${to} via ${via}`),
    [
      'router: 10.10.1.2/30 via 198.19.0.2',
      'router: fd10:1::2/64 via fd00:198:19:1::2',
      'router: 10.10.2.2/30 via 198.19.0.6',
      'router: fd10:2::2/64 via fd00:198:19:2::2',
    ],
  );
});
