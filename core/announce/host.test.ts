import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ObservedHost } from '../model/host';
import { hostEvidence } from './host';
import { ADDRESS, observedHost, service } from './testing';

const lost = (change: (host: ObservedHost) => void): string[] | null => {
  const found = hostEvidence(observedHost(change), [service()], 5)?.services['dns'];
  return found === undefined ? null : [...found.all, ...Object.values(found.addresses).flat()];
};

const mounted = (host: ObservedHost) => {
  const edge = host.namespaces['edge'];
  assert.ok(edge?.state === 'mounted');
  return edge;
};

const named = <T extends { name: string }>(all: readonly T[], name: string): T => {
  const found = all.find((each) => each.name === name);
  assert.ok(found, name);
  return found;
};

test('a host that is as it should be proves the service', () => {
  assert.deepEqual(
    lost(() => undefined),
    [],
  );
});

const FAULTS: [string, (host: ObservedHost) => void, RegExp][] = [
  ['namespace deleted', (host) => delete host.namespaces['edge'], /edge does not exist/],
  [
    'namespace unmounted',
    (host) => (host.namespaces['edge'] = { state: 'unmounted' }),
    /no namespace is mounted/,
  ],
  ['namespace of a stranger', (host) => (mounted(host).inode = 9), /not made by this agent/],
  ['host end down', (host) => (named(host.root.links, 'edge0').up = false), /edge0 is down/],
  ['peer down', (host) => (named(mounted(host).links, 'eth0').up = false), /edge\/eth0 is down/],
  ['lo down', (host) => (named(mounted(host).links, 'lo').up = false), /edge\/lo is down/],
  ['link deleted', (host) => (host.root.links.length = 1), /not whole/],
  [
    'address removed',
    (host) => (named(mounted(host).links, 'lo').addresses = []),
    /203\.0\.113\.10 is not on lo/,
  ],
  ['route removed', (host) => (host.root.routes.length = 0), /no route to 203\.0\.113\.10/],
  [
    'route by another link',
    (host) => (host.root.routes = host.root.routes.map((r) => ({ ...r, ifindex: 2 }))),
    /no route/,
  ],
  [
    'only a wider route',
    (host) => (host.root.routes = host.root.routes.map((r) => ({ ...r, to: '203.0.113.0/24' }))),
    /no route/,
  ],
  ['filter detached', ({ filters }) => (filters[0]!.attached = null), /uplink0 is not attached/],
  [
    'another program attached',
    ({ filters }) => (filters[0]!.attached!.ours = false),
    /another program/,
  ],
  [
    'maps edited',
    ({ filters }) => (filters[0]!.contents = { state: 'edited', detail: 'block_v4 lacks 3' }),
    /block_v4 lacks 3/,
  ],
  ['interface gone', ({ filters }) => (filters[0]!.ifindex = null), /no interface/],
];

for (const [what, change, expected] of FAULTS) {
  test(`lost: ${what}`, () => assert.match(lost(change)?.join('; ') ?? '', expected));
}

test('lost is no more than what is broken', () => {
  for (const [what, change] of FAULTS) assert.equal(lost(change)?.length, 1, what);
});

test('differences that harm no packet are no loss', () => {
  const harmless: ((host: ObservedHost) => void)[] = [
    (host) => (named(host.root.links, 'edge0').mtu = 1400),
    ({ filters }) => (filters[0]!.attached!.tag = 'older'),
    ({ filters }) => (filters[0]!.pin = null),
    ({ filters }) => (filters[0]!.contents = { state: 'unknown', detail: null }),
    (host) =>
      host.root.routes.push({ to: '0.0.0.0/0', via: null, ifindex: 2, protocol: 3, metric: 0 }),
  ];
  for (const change of harmless) assert.deepEqual(lost(change), []);
});

test('of a torn dump only what is there is believed', () => {
  const torn = (change: (host: ObservedHost) => void) =>
    lost((host) => {
      host.interrupted = true;
      change(host);
    });
  assert.deepEqual(
    torn(() => undefined),
    [],
  );
  assert.equal(
    torn((host) => delete host.namespaces['edge']),
    null,
  );
});

test('an address that is not there yet leaves the others proven', () => {
  const both = service({ addresses: [ADDRESS, '203.0.113.11'] });
  const found = hostEvidence(observedHost(), [both], 5)?.services['dns'];
  assert.deepEqual(found?.all, []);
  assert.deepEqual(found?.addresses[ADDRESS], []);
  assert.equal(found?.addresses['203.0.113.11']?.length, 1);
});
