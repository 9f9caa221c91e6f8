/** What people do to a filter with bpftool and rm, seen and put right. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { FilterContents } from '../../../core/filter/contents';
import type { HostEvent } from '../../../core/model/host';
import { openHost } from '../host';
import { NetNs } from '../netns';
import { uniqueName, waitFor } from '../test-support';
import { pinInfo, pinPath } from './pins';
import { contentsFor, MemoryBlobs, verdicts } from './testing/support';

const bpftool = (...args: string[]): string =>
  execFileSync('bpftool', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const bytes = (...values: number[]): string[] => values.map((value) => `${value}`);

/** A host with one filter that holds something of each kind. */
async function setup(t: TestContext) {
  const blobs = new MemoryBlobs();
  const host = await openHost(blobs);
  t.after(() => host.close());
  const ns = NetNs.host();
  const rtnl = await ns.rtnl();
  const name = uniqueName('d');
  await rtnl.links.addVeth({ name, peer: { name: `${name}p` } });
  t.after(async () => {
    await host.applyAll([{ op: 'detachFilter', interface: name }]);
    await rtnl.links.delete({ name });
    ns.close();
  });
  const wanted = contentsFor(name, {
    failsafe: ['198.51.100.7/32'],
    lists: [blobs.list('bad', ['198.51.100.0/24', '2001:db8:e::/48'])],
    rules: {
      mode: 'enforce',
      entries: [
        {
          name: 'other',
          reason: '',
          expiresAtMs: null,
          mode: 'enforce',
          destination: null,
          protocol: 132,
          sourcePort: null,
          destinationPort: null,
          length: null,
          tcpFlags: null,
          fragment: null,
        },
      ],
    },
  });
  await host.setFilters([wanted]);
  const attach = { op: 'attachFilter', interface: name, mode: 'native' } as const;
  assert.deepEqual(await host.applyAll([attach]), [{ ok: true }]);
  return { host, name, wanted };
}

type Setup = Awaited<ReturnType<typeof setup>>;
const observed = async ({ host, name }: Setup) =>
  (await host.observe({ namespaces: [], sysctls: {}, filters: [name] })).filters[0]!;
const SOURCES = ['198.51.100.6', '198.51.100.7', '2001:db8:e::1', '203.0.113.1'];
const RIGHT = 'drop pass drop pass';

/** The id of an inner map, as bpftool prints it. */
const innerId = (name: string, outer: string, slot: number): string =>
  JSON.parse(bpftool('-j', 'map', 'dump', 'pinned', pinPath(name, outer)))
    .find((entry: { key: string[] }) => Number(entry.key[0]) === slot)
    .value.map((byte: string) => Number(byte))
    .reduce((id: number, byte: number, i: number) => id + byte * 256 ** i, 0);

const DEEDS: {
  what: string;
  deed: (name: string) => void;
  state: 'edited' | 'missing';
  detail: RegExp;
}[] = [
  {
    what: 'a set is taken out of the outer map',
    deed: (name) =>
      bpftool('map', 'delete', 'pinned', pinPath(name, 'sets4'), 'key', ...bytes(2, 0, 0, 0)),
    state: 'missing',
    detail: /block set of sets4 has been taken away/,
  },
  {
    what: 'an inner set is emptied word by word',
    deed: (name) => {
      const id = `${innerId(name, 'sets4', 2)}`;
      // The line that holds the root word of 198.51.96.0/19.
      const line = (1024 + (((198 << 24) | (51 << 16) | (100 << 8)) >>> 13)) >>> 3;
      const key = bytes(line & 255, (line >> 8) & 255, (line >> 16) & 255, 0);
      bpftool('map', 'update', 'id', id, 'key', ...key, 'value', ...bytes(...Array(64).fill(0)));
    },
    state: 'edited',
    detail: /block set of sets4 has been written to/,
  },
  {
    what: 'the config is emptied',
    deed: (name) =>
      bpftool(
        'map',
        'update',
        'pinned',
        pinPath(name, 'config'),
        'key',
        ...bytes(0, 0, 0, 0),
        'value',
        ...bytes(...Array(112).fill(0)),
      ),
    state: 'edited',
    detail: /config has been changed/,
  },
  {
    what: 'the rules are taken away',
    deed: (name) =>
      bpftool('map', 'delete', 'pinned', pinPath(name, 'rules'), 'key', ...bytes(0, 0, 0, 0)),
    state: 'missing',
    detail: /rules have been taken away/,
  },
  {
    what: 'a rule is changed',
    deed: (name) =>
      bpftool(
        'map',
        'update',
        'id',
        `${innerId(name, 'rules', 0)}`,
        'key',
        ...bytes(0, 0, 0, 0),
        'value',
        ...bytes(...Array(56).fill(0)),
      ),
    state: 'edited',
    detail: /rules have been changed/,
  },
  {
    what: 'the pin of a map is removed',
    deed: (name) => unlinkSync(pinPath(name, 'sets6')),
    state: 'missing',
    detail: /pin of its map sets6 is gone/,
  },
  {
    what: 'a program is pinned where a map was',
    deed: (name) => {
      unlinkSync(pinPath(name, 'sets6'));
      bpftool('prog', 'pin', 'id', `${pinInfo(name)!.programId}`, pinPath(name, 'sets6'));
    },
    state: 'missing',
    detail: /pin of its map sets6 leads elsewhere/,
  },
  {
    what: 'the failsafe set is put where the blocked one was',
    deed: (name) =>
      bpftool(
        'map',
        'update',
        'pinned',
        pinPath(name, 'sets4'),
        'key',
        ...bytes(2, 0, 0, 0),
        'value',
        'id',
        `${innerId(name, 'sets4', 0)}`,
      ),
    state: 'edited',
    detail: /block set of sets4 has been replaced/,
  },
];

for (const { what, deed, state, detail } of DEEDS) {
  test(`${what}: told within a second, named, and put right`, async (t) => {
    const under = await setup(t);
    const { host, name } = under;
    assert.equal((await observed(under)).contents.state, 'right');
    const events: HostEvent[] = [];
    const scope = { namespaces: [], sysctls: {}, filters: [name] };
    const watch = await host.watch(scope, (event) => events.push(event));
    t.after(() => watch.close());
    deed(name);
    await waitFor('the event', () => events.find((event) => event.what === 'filter'), 2000);
    const { contents } = await observed(under);
    assert.equal(contents.state, state);
    assert.match(contents.detail ?? '', detail);
    const reload = { op: 'reloadFilter', interface: name } as const;
    assert.deepEqual(await host.applyAll([reload]), [{ ok: true }]);
    assert.equal((await observed(under)).contents.state, 'right');
    assert.equal(verdicts(name, ...SOURCES), RIGHT);
  });
}

test('all pins are removed: the link goes with them, and the next attach holds the same', async (t) => {
  const under = await setup(t);
  const { host, name } = under;
  execFileSync('find', [pinPath(name), '-type', 'f', '-delete']);
  await waitFor('the detachment', async () => (await observed(under)).attached === null);
  const attach = { op: 'attachFilter', interface: name, mode: 'native' } as const;
  assert.deepEqual(await host.applyAll([attach]), [{ ok: true }]);
  assert.equal((await observed(under)).contents.state, 'right');
  assert.equal(verdicts(name, ...SOURCES), RIGHT);
});

test('what others put beside our pins, and in the place of the link, is in nobody’s way', async (t) => {
  const under = await setup(t);
  const { host, name } = under;
  const program = `${pinInfo(name)!.programId}`;
  const strays = [join(dirname(pinPath(name)), 'stray'), join(dirname(pinPath(name)), '100%zz')];
  bpftool('prog', 'pin', 'id', program, strays[0]!);
  mkdirSync(strays[1]!);
  t.after(() => {
    unlinkSync(strays[0]!);
    rmdirSync(strays[1]!);
  });
  assert.equal((await observed(under)).contents.state, 'right');
  unlinkSync(pinPath(name, 'link'));
  bpftool('prog', 'pin', 'id', program, pinPath(name, 'link'));
  await waitFor('the detachment', async () => (await observed(under)).attached === null);
  const attach = { op: 'attachFilter', interface: name, mode: 'native' } as const;
  assert.deepEqual(await host.applyAll([attach]), [{ ok: true }]);
  const { attached, contents } = await observed(under);
  assert.ok(attached?.ours);
  const detach = { op: 'detachFilter', interface: name } as const;
  for (const step of [detach, attach])
    assert.deepEqual(await host.applyAll([step]), [{ ok: true }]);
  assert.equal(contents.state, 'right');
  assert.equal(verdicts(name, ...SOURCES), RIGHT);
});

test('bpftool detaches the link: seen, and attached again with all it held', async (t) => {
  const under = await setup(t);
  const { host, name } = under;
  bpftool('link', 'detach', 'pinned', pinPath(name, 'link'));
  const { attached, pin } = await observed(under);
  assert.equal(attached, null);
  assert.equal(pin?.ifindex, 0);
  const results = await host.applyAll([{ op: 'detachFilter', interface: name }]);
  const attach = { op: 'attachFilter', interface: name, mode: 'native' } as const;
  results.push(...(await host.applyAll([attach])));
  assert.deepEqual(results, [{ ok: true }, { ok: true }]);
  assert.equal(verdicts(name, ...SOURCES), RIGHT);
});

test('pins that were removed while no agent lived come back from the program itself', async (t) => {
  const { host, name, wanted } = await setup(t);
  host.close();
  unlinkSync(pinPath(name, 'sets4'));
  const blobs = new MemoryBlobs();
  blobs.list('bad', ['198.51.100.0/24', '2001:db8:e::/48']);
  const next = await openHost(blobs);
  t.after(() => next.close());
  const outcomes = await next.setFilters([wanted satisfies FilterContents]);
  assert.equal(outcomes[0]?.error, null);
  const seen = await observed({ host: next, name, wanted });
  assert.equal(seen.contents.state, 'right');
  assert.equal(verdicts(name, ...SOURCES), RIGHT);
});
