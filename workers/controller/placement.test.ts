import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlacedService } from '../../core/model/routing-messages';
import { cutTo } from './placement';

const placed = (count: number, minAnnouncers: number): PlacedService => ({
  service: 'dns',
  prefixes: ['203.0.113.10/32'],
  addresses: ['203.0.113.10'],
  minAnnouncers,
  regions: [],
  traffic: {},
  nodes: Array.from({ length: count }, (_, i) => ({
    node: `n-${i}`,
    region: 'fra',
    phase: 'active',
    command: null,
  })),
});

const edges = (announcers: readonly string[], unproven: readonly string[] = []) => ({
  announces: (node: string) => announcers.includes(node),
  announcesUnproven: (node: string) => unproven.includes(node),
});

const names = ({ nodes }: PlacedService): string[] => nodes.map(({ node }) => node);

test('a node of large services is decided about by a few of the others', () => {
  const few = cutTo('n-700', placed(1_000, 2), edges(['n-900', 'n-901', 'n-902'], ['n-902']));
  assert.equal(few.nodes.length, 33);
  assert.ok(names(few).includes('n-700'));
  // Those that the floor can rest on are among them, wherever they stand.
  assert.ok(names(few).includes('n-900') && names(few).includes('n-901'));
  // 30 services of 1,000 nodes: a history holds 2 MB at most in one result.
  const services = Array.from({ length: 30 }, () => few);
  assert.ok(JSON.stringify(services).length < 200_000);
});

test('a high floor asks for more of them, a small service is told whole', () => {
  assert.equal(cutTo('n-0', placed(1_000, 100), edges([])).nodes.length, 201);
  const small = placed(20, 2);
  assert.deepEqual(cutTo('n-0', small, edges([])), small);
});
