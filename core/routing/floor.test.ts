import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stance } from '../model/anycast';
import type { Command } from '../model/routing';
import type { EdgeRouting, PlacedService, Placement } from '../model/routing-messages';
import { floorReached, floorText, leftWithout, pictureOf } from './floor';

const command = (stance: Stance): Command => ({ stance, reason: 'r', by: 'b', atMs: 1 });

const service = (
  name: string,
  minAnnouncers: number,
  nodes: Record<string, Stance | null>,
  traffic: Record<string, Command> = {},
): PlacedService => ({
  service: name,
  prefixes: [],
  addresses: [],
  minAnnouncers,
  regions: [],
  traffic,
  nodes: Object.entries(nodes).map(([node, stance]) => ({
    node,
    region: node.slice(0, 2),
    phase: 'active',
    command: stance === null ? null : command(stance),
  })),
});

const placement = (...services: PlacedService[]): Placement => ({ governorRevision: 7, services });

const says = (node: string, announced: boolean, connected = true): EdgeRouting => ({
  node,
  connected,
  atMs: 1,
  acceptedRevision: 1,
  services: [{ service: 'dns', stance: 'announce', announced, why: [] }],
  neighbors: [],
});

test('announcers are those that say so now; nobody vouches for one that is cut off', () => {
  const placed = placement(service('dns', 1, { a: null, b: null, c: null, d: null }));
  const picture = pictureOf(placed, [says('a', true), says('b', false), says('c', true, false)]);
  assert.deepEqual(picture, { governorRevision: 7, announcers: { dns: ['a'] } });
});

test('who announces without a proof is left to nobody, and is not the last one to go', () => {
  const placed = placement(service('dns', 1, { a: null, b: null }));
  const b = says('b', true);
  const ill = { ...b, services: b.services.map((said) => ({ ...said, proven: false })) };
  const picture = pictureOf(placed, [says('a', true), ill]);
  assert.deepEqual([picture.announcers, picture.unproven], [{ dns: ['a', 'b'] }, { dns: ['b'] }]);
  assert.deepEqual(floorReached(placed, picture, ['a'])?.announcers, []);
  assert.equal(floorReached(placed, picture, ['b']), null);
  assert.equal(floorReached(placed, pictureOf(placed, [ill]), ['b'])?.code, 'FloorReached');
});

test('who is commanded to withdraw is gone already, whatever it says', () => {
  const dns = service(
    'dns',
    1,
    { 'eu-1': null, 'eu-2': 'withdraw', 'us-1': null, 'us-2': 'deprefer' },
    { us: command('deprefer') },
  );
  const picture = { governorRevision: 7, announcers: { dns: ['eu-1', 'eu-2', 'us-1', 'us-2'] } };
  assert.deepEqual(leftWithout(dns, picture, ['us-1']), ['eu-1', 'us-2']);
  const drained = { ...dns, traffic: { us: command('withdraw') } };
  assert.deepEqual(leftWithout(drained, picture, []), ['eu-1']);
});

test('the first service that would fall below its floor is named, with who is left', () => {
  const placed = placement(
    service('dns', 1, { a: null, b: null }),
    service('web', 2, { a: null, b: null, c: null }),
  );
  const picture = { governorRevision: 7, announcers: { dns: ['a', 'b'], web: ['a', 'b'] } };
  const fact = floorReached(placed, picture, ['a']);
  assert.deepEqual(fact, { code: 'FloorReached', service: 'web', announcers: ['b'], floor: 2 });
  assert.equal(fact && floorText(fact), 'web would be announced by 1 (b), its floor is 2.');
  const low = { governorRevision: 7, announcers: { dns: ['b'], web: ['b'] } };
  assert.equal(floorReached(placed, low, ['a']), null, 'who does not announce is no loss');
  assert.equal(
    floorReached(placement(service('dns', 1, { a: null, b: null })), picture, ['a']),
    null,
  );
  assert.equal(
    floorReached(placement(service('dns', 1, { a: null, b: null })), picture, ['a'], 1)?.service,
    'dns',
    'with one to spare it is too few',
  );
});
