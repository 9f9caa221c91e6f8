import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RegionShare, Stance } from '../model/anycast';
import type { Command } from '../model/routing';
import type { EdgeRouting, PlacedService } from '../model/routing-messages';
import { needed, receiversOf, stanceOf, strengths, toRaise } from './plan';

const command = (stance: Stance): Command => ({ stance, reason: 'r', by: 'b', atMs: 1 });

/** `eu-1` is a node of eu, and so on. */
const placed = (
  nodes: string[],
  regions: RegionShare[] = [],
  traffic: Record<string, Command> = {},
): PlacedService => ({
  service: 'dns',
  prefixes: ['198.51.100.1/32'],
  addresses: ['198.51.100.1'],
  minAnnouncers: 1,
  regions,
  traffic,
  nodes: nodes.map((node) => ({
    node,
    region: node.slice(0, 2),
    phase: 'active',
    command: null,
  })),
});

const edge = (node: string, change: Partial<EdgeRouting> = {}): EdgeRouting => ({
  node,
  connected: true,
  atMs: 1,
  acceptedRevision: 1,
  services: [{ service: 'dns', stance: 'announce', announced: true, proven: true, why: [] }],
  neighbors: [{ address: '192.0.2.1', localAddress: null, state: 'established', held: false }],
  ...change,
});

const silent = {
  services: [
    { service: 'dns', stance: 'withdraw' as const, announced: false, proven: true, why: [] },
  ],
};

const WEIGHTS: RegionShare[] = [
  { name: 'eu', weight: 10 },
  { name: 'us', weight: 5 },
  { name: 'ap', weight: 0 },
  { name: 'sa', weight: 0 },
];

test('what a region is able to: connected, announcing, able', () => {
  const service = placed(['eu-1', 'eu-2', 'eu-3', 'eu-4', 'eu-5'], WEIGHTS);
  const [eu] = strengths(service, [
    edge('eu-1'),
    edge('eu-2', silent),
    edge('eu-3', { connected: false }),
    edge('eu-4', { neighbors: [] }),
  ]);
  assert.deepEqual(eu?.connected, ['eu-1', 'eu-2', 'eu-4']);
  assert.deepEqual(eu.announcing, ['eu-1', 'eu-4']);
  assert.deepEqual(eu.able, ['eu-1', 'eu-2'], 'not the one without a session');
  assert.deepEqual(eu.nodes.length, 5);
});

test('a held session carries nothing, so its node is not able', () => {
  const held = {
    address: '192.0.2.1',
    localAddress: null,
    state: 'established' as const,
    held: true,
  };
  const [eu] = strengths(placed(['eu-1']), [edge('eu-1', { neighbors: [held] })]);
  assert.deepEqual(eu?.able, []);
});

test('without regions in the service, each region of its nodes serves alike', () => {
  const regions = strengths(placed(['us-1', 'eu-1']), []);
  assert.deepEqual(
    regions.map(({ region, weight }) => [region, weight]),
    [
      ['eu', 1],
      ['us', 1],
    ],
  );
});

const names = (all: { region: string }[]): string[] => all.map(({ region }) => region);

test('receivers: who serves; backups in their order, the wanted one first; never one that is down', () => {
  const nodes = ['eu-1', 'us-1', 'ap-1', 'sa-1'];
  const regions = strengths(placed(nodes, WEIGHTS), []);
  const all = receiversOf(regions, new Set(['eu']), null);
  assert.deepEqual(names(all.serving), ['us']);
  assert.deepEqual(names(all.backups), ['ap', 'sa']);
  assert.deepEqual(names(receiversOf(regions, new Set(['eu']), 'sa').backups), ['sa', 'ap']);
  assert.deepEqual(names(receiversOf(regions, new Set(['eu', 'us', 'ap']), null).backups), ['sa']);
  const empty = strengths(placed(['eu-1'], WEIGHTS), []);
  assert.deepEqual(receiversOf(empty, new Set(['eu']), null), { serving: [], backups: [] });
});

test('a region that is drained serves nobody', () => {
  const traffic = { us: command('deprefer'), ap: command('withdraw') };
  const regions = strengths(placed(['eu-1', 'us-1', 'ap-1', 'sa-1'], WEIGHTS, traffic), []);
  const receivers = receiversOf(regions, new Set(['eu']), null);
  assert.deepEqual(receivers.serving, []);
  assert.deepEqual(names(receivers.backups), ['sa'], 'neither does a backup that is drained');
  assert.deepEqual(
    regions.map((region) => [region.region, stanceOf(region)]),
    [
      ['eu', 'announce'],
      ['us', 'deprefer'],
      ['ap', 'withdraw'],
      ['sa', 'withdraw'],
    ],
  );
});

test('backups are raised until there are enough that can, and the chosen one always', () => {
  const service = { ...placed(['us-1', 'ap-1', 'sa-1'], WEIGHTS), minAnnouncers: 2 };
  const said = [edge('us-1'), edge('ap-1', silent), edge('sa-1', silent)];
  const raise = (edges: EdgeRouting[], need: number, ...chosen: string[]): string[] =>
    toRaise(receiversOf(strengths(service, edges), new Set(['eu']), null), need, new Set(chosen));
  assert.deepEqual(raise(said, 1), [], 'who serves is enough');
  assert.deepEqual(raise(said, 2), ['ap']);
  assert.deepEqual(raise(said, 3), ['ap', 'sa']);
  assert.deepEqual(raise(said, 1, 'sa'), ['sa']);
  const unable = [edge('us-1'), edge('ap-1', { connected: false }), edge('sa-1', silent)];
  assert.deepEqual(raise(unable, 2), ['sa'], 'one that can not is left out');
  assert.deepEqual(raise([], 2, 'ap'), ['ap']);
  assert.equal(needed({ minAnnouncers: 0 }), 1);
});
