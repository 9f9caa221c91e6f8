import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, test, type TestContext } from 'node:test';
import type {
  HostPort,
  ObservedLink,
  ObservedNetns,
  ObserveScope,
  Step,
} from '../../core/model/host';
import { openHost } from './host';
import { netnsPath } from './netns';
import { kernelHandles, ip, uniqueName } from './test-support';

let host: HostPort;
before(async () => {
  host = await openHost();
});
after(() => {
  host.close();
  assert.deepEqual(
    kernelHandles().filter((handle) => !handle.startsWith('socket:')),
    [],
  );
});

interface Names {
  ns: string;
  link: string;
  alias: string;
  peerAlias: string;
  scope: ObserveScope;
}

function names(t: TestContext): Names {
  const ns = uniqueName('h');
  const link = uniqueName('l');
  t.after(async () => {
    await host.applyAll([{ op: 'detachFilter', interface: link }]);
    const seen = (await host.observe({ namespaces: [ns], sysctls: {}, filters: [] })).namespaces[
      ns
    ];
    if (seen) {
      const inode = seen.state === 'mounted' ? seen.inode : null;
      await host.applyAll([{ op: 'deleteNamespace', namespace: ns, inode }]);
    }
  });
  return {
    ns,
    link,
    alias: `aether:t/${ns}/${link}#host`,
    peerAlias: `aether:t/${ns}/${link}#peer`,
    scope: { namespaces: [ns], sysctls: { [ns]: ['net.ipv4.ip_forward'] }, filters: [link] },
  };
}

/** Applies steps one after the other; all must succeed. */
async function ok(...steps: Step[]): Promise<void> {
  for (const step of steps) {
    const [result] = await host.applyAll([step]);
    assert.equal(result?.ok, true, `${step.op}: ${JSON.stringify(result)}`);
  }
}

async function refused(step: Step, code: string): Promise<void> {
  const [result] = await host.applyAll([step]);
  assert.ok(result && !result.ok, `${step.op} succeeded`);
  assert.deepEqual([result.code, result.changed], [code, false], result.message);
}

async function inner({ ns, scope }: Names): Promise<ObservedNetns> {
  const seen = (await host.observe(scope)).namespaces[ns];
  assert.equal(seen?.state, 'mounted');
  return seen;
}

const linkOf = (netns: ObservedNetns, name: string): ObservedLink | undefined =>
  netns.links.find((link) => link.name === name);

const veth = (n: Names, mtu = 1400): Step => ({
  op: 'createVeth',
  namespace: n.ns,
  name: n.link,
  peer: 'eth0',
  mtu,
  alias: n.alias,
  peerAlias: n.peerAlias,
});

async function up(n: Names): Promise<void> {
  await ok(
    { op: 'createNamespace', namespace: n.ns },
    veth(n),
    { op: 'setLinkUp', namespace: null, name: n.link, alias: n.alias },
    { op: 'setLinkUp', namespace: n.ns, name: 'eth0', alias: n.peerAlias },
  );
}

test('an edge comes up step by step, and each step shows in what is observed', async (t) => {
  const n = names(t);
  await up(n);
  await ok(
    { op: 'addAddress', namespace: null, link: n.link, address: '10.66.1.1/30' },
    { op: 'addAddress', namespace: n.ns, link: 'eth0', address: '10.66.1.2/30' },
    { op: 'addAddress', namespace: n.ns, link: 'eth0', address: 'fd66:1::2/64' },
    { op: 'addRoute', namespace: n.ns, to: '0.0.0.0/0', via: '10.66.1.1' },
    { op: 'addRoute', namespace: n.ns, to: '::/0', via: 'fd66:1::1' },
    { op: 'attachFilter', interface: n.link, mode: 'native' },
  );
  const [sysctl] = await host.applyAll([
    { op: 'setSysctl', namespace: n.ns, key: 'net.ipv4.ip_forward', value: '1' },
  ]);
  assert.deepEqual(sysctl, { ok: true, former: '0' });

  const seen = await host.observe(n.scope);
  const netns = await inner(n);
  const near = linkOf(seen.root, n.link);
  const far = linkOf(netns, 'eth0');
  assert.ok(near && far);
  assert.deepEqual(
    [near.kind, near.alias, near.mtu, near.up, near.peerIfindex, near.peerInode],
    ['veth', n.alias, 1400, true, far.ifindex, netns.inode],
  );
  assert.deepEqual(
    [far.alias, far.mtu, far.up, far.peerIfindex, far.peerInode],
    [n.peerAlias, 1400, true, near.ifindex, seen.root.inode],
  );
  const ours = far.addresses.filter((address) => address.protocol === 174);
  assert.deepEqual(ours.map((a) => a.address).sort(), ['10.66.1.2/30', 'fd66:1::2/64']);
  assert.deepEqual(
    netns.routes.map(({ to, via, protocol }) => [to, via, protocol]),
    [
      ['0.0.0.0/0', '10.66.1.1', 174],
      ['::/0', 'fd66:1::1', 174],
    ],
  );
  assert.deepEqual(netns.sysctls, { 'net.ipv4.ip_forward': '1' });
  const filter = seen.filters.find((f) => f.interface === n.link);
  assert.deepEqual(
    [filter?.attached?.tag, filter?.attached?.mode, filter?.attached?.ours, filter?.ifindex],
    [host.filterTag, 'native', true, near.ifindex],
  );
  ip('netns', 'exec', n.ns, 'ping', '-c1', '-W2', '10.66.1.1');
});

test('every step is a success when it is done twice, or says that the name is taken', async (t) => {
  const n = names(t);
  await up(n);
  const again: Step[] = [
    { op: 'setLinkUp', namespace: null, name: n.link, alias: n.alias },
    { op: 'setLinkMtu', namespace: null, name: n.link, alias: n.alias, mtu: 1300 },
    { op: 'addAddress', namespace: null, link: n.link, address: '10.66.2.1/30' },
    { op: 'addRoute', namespace: null, to: '10.66.9.0/24', via: '10.66.2.2' },
    { op: 'deleteRoute', namespace: null, to: '10.66.9.0/24', via: '10.66.2.2' },
    { op: 'deleteAddress', namespace: null, link: n.link, address: '10.66.2.1/30' },
    { op: 'setSysctl', namespace: n.ns, key: 'net.ipv4.ip_forward', value: '1' },
  ];
  for (const step of again) await ok(step, step);
  await refused({ op: 'createNamespace', namespace: n.ns }, 'EEXIST');
  const { root } = await host.observe(n.scope);
  const { ifindex } = linkOf(root, n.link)!;
  const removal: Step = {
    op: 'deleteLink',
    namespace: null,
    ifindex,
    name: n.link,
    alias: n.alias,
  };
  await ok(removal, removal);
  assert.equal(linkOf(await inner(n), 'eth0'), undefined);
});

test('what is not ours is refused and stays', async (t) => {
  const n = names(t);
  await up(n);
  ip('link', 'set', 'dev', n.link, 'alias', 'somebody');
  ip('addr', 'add', '10.66.3.1/30', 'dev', n.link);
  const { root } = await host.observe(n.scope);
  const { ifindex } = linkOf(root, n.link)!;
  const { inode } = await inner(n);
  const alias = n.alias;
  const shared = { namespace: null, alias } as const;
  await refused({ op: 'deleteLink', ...shared, ifindex, name: n.link }, 'notOurs');
  await refused({ op: 'renameLink', ...shared, ifindex, name: 'mine' }, 'notOurs');
  await refused({ op: 'setLinkMtu', ...shared, name: n.link, mtu: 1280 }, 'notOurs');
  await refused({ op: 'setLinkUp', ...shared, name: n.link }, 'notOurs');
  const address = '10.66.3.1/30';
  await refused({ op: 'deleteAddress', namespace: null, link: n.link, address }, 'notOurs');
  for (const wrong of [inode + 1, null]) {
    await refused({ op: 'deleteNamespace', namespace: n.ns, inode: wrong }, 'notOurs');
  }
  ip('link', 'set', 'dev', n.link, 'alias', n.alias);
  const after = linkOf((await host.observe(n.scope)).root, n.link);
  assert.deepEqual([after?.mtu, after?.ifindex], [1400, ifindex]);
});

test('a creation that was cut is not observed, and the next one clears it away', async (t) => {
  const n = names(t);
  await ok({ op: 'createNamespace', namespace: n.ns });
  // As a crash leaves it: both ends made in the group of the unfinished, neither has an alias.
  const group = String(0x41455448);
  ip(
    ...`link add name ${n.link} group ${group} type veth peer name eth0 group ${group} netns ${n.ns}`.split(
      ' ',
    ),
  );
  const { root } = await host.observe(n.scope);
  assert.equal(linkOf(root, n.link), undefined);
  assert.equal(linkOf(await inner(n), 'eth0'), undefined);
  await ok(veth(n));
  assert.equal(linkOf(await inner(n), 'eth0')?.alias, n.peerAlias);
  // A foreign link of that name is another matter.
  await refused({ ...veth(n), name: 'lo' } as Step, 'EEXIST').catch((error: Error) => {
    // createVeth has several parts, so a failure in the first may say "unknown".
    assert.match(error.message, /EEXIST/);
  });
});

test('a name without a namespace is seen, and removed only when asked for as such', async (t) => {
  const n = names(t);
  writeFileSync(netnsPath(n.ns), '');
  assert.deepEqual((await host.observe(n.scope)).namespaces[n.ns], { state: 'unmounted' });
  await refused({ op: 'deleteNamespace', namespace: n.ns, inode: 1 }, 'notOurs');
  await ok({ op: 'deleteNamespace', namespace: n.ns, inode: null });
  assert.equal((await host.observe(n.scope)).namespaces[n.ns], undefined);
});

test('a renamed link gets its name back, also while it is up', async (t) => {
  const n = names(t);
  await up(n);
  ip('-n', n.ns, 'link', 'set', 'dev', 'eth0', 'down');
  ip('-n', n.ns, 'link', 'set', 'dev', 'eth0', 'name', 'odd');
  ip('-n', n.ns, 'link', 'set', 'dev', 'odd', 'up');
  const odd = linkOf(await inner(n), 'odd');
  assert.ok(odd);
  const { ifindex } = odd;
  await ok({ op: 'renameLink', namespace: n.ns, ifindex, alias: n.peerAlias, name: 'eth0' });
  assert.equal(linkOf(await inner(n), 'eth0')?.ifindex, ifindex);
});

test('a wave of link deletions goes by group, and leaves what is not ours', async (t) => {
  const n = names(t);
  await ok({ op: 'createNamespace', namespace: n.ns });
  const links = Array.from({ length: 10 }, (_, i) => ({
    ...(veth(n) as Extract<Step, { op: 'createVeth' }>),
    name: `${n.link}${i}`,
    peer: `p${i}`,
    alias: `${n.alias}${i}`,
  }));
  const made = await host.applyAll(links);
  assert.ok(made.every((result) => result.ok));
  ip('link', 'set', 'dev', `${n.link}3`, 'alias', 'somebody');
  const { root } = await host.observe(n.scope);
  const deletions = links.map<Step>(({ name, alias }) => ({
    op: 'deleteLink',
    namespace: null,
    ifindex: linkOf(root, name)!.ifindex,
    name,
    alias,
  }));
  ip('link', 'delete', 'dev', `${n.link}7`);
  const results = await host.applyAll(deletions);
  assert.deepEqual(
    results.map((result) => result.ok || result.code),
    links.map((_, i) => (i === 3 ? 'notOurs' : true)),
  );
  const left = (await host.observe(n.scope)).root.links.map((link) => link.name);
  assert.deepEqual(
    left.filter((name) => name.startsWith(n.link)),
    [`${n.link}3`],
  );
});

test('results come in the order of the steps, and one failure stops no other', async (t) => {
  const n = names(t);
  await up(n);
  const results = await host.applyAll([
    { op: 'addAddress', namespace: n.ns, link: 'none', address: '10.66.5.2/30' },
    { op: 'addAddress', namespace: n.ns, link: 'eth0', address: '10.66.5.2/30' },
    { op: 'addRoute', namespace: n.ns, to: '10.1.0.0/16', via: '192.0.2.200' },
    { op: 'setLinkMtu', namespace: n.ns, name: 'eth0', alias: n.peerAlias, mtu: 20 },
  ]);
  assert.deepEqual(
    results.map((result) => result.ok || [result.code, result.changed]),
    [['absent', false], true, ['ENETUNREACH', false], ['EINVAL', false]],
  );
  const last = results[3];
  assert.match(last && !last.ok ? last.message : '', /mtu less than device minimum/);
});
