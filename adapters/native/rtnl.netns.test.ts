import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { addressBytes, prefixBytes } from '../../core/netlink/ip';
import { isUp } from '../../core/netlink/link';
import { NetlinkError } from './errors';
import type { NetNs } from './netns';
import type { Rtnl } from './rtnl';
import { ip, testNamespace } from './test-support';

async function setup(t: TestContext): Promise<{ ns: NetNs; rtnl: Rtnl }> {
  const ns = await testNamespace(t);
  return { ns, rtnl: await ns.rtnl() };
}

const code = (expected: string) => (error: unknown) =>
  error instanceof NetlinkError && error.code === expected;

test('a veth is made with its peer right in another namespace', async (t) => {
  const { ns, rtnl } = await setup(t);
  const far = await testNamespace(t);
  const farRtnl = await far.rtnl();
  await rtnl.links.addVeth({
    name: 'near',
    mtu: 1400,
    group: 9,
    peer: { name: 'far', mtu: 1400, netnsFd: far.fd },
  });
  const near = await rtnl.links.get({ name: 'near' });
  const peer = await farRtnl.links.get({ name: 'far' });
  assert.ok(near && peer);
  assert.deepEqual([near.kind, near.mtu, near.group, near.link], ['veth', 1400, 9, peer.index]);
  assert.equal(near.linkNetnsid, await rtnl.nsid(far.fd));
  assert.equal(peer.linkNetnsid, await farRtnl.nsid(ns.fd));
  assert.equal(await rtnl.links.get({ name: 'far' }), null);
});

test('what we set is what ip shows', async (t) => {
  const { ns, rtnl } = await setup(t);
  await rtnl.links.addVeth({ name: 'a', peer: { name: 'b' } });
  const link = await rtnl.links.get({ name: 'a' });
  assert.ok(link);
  const ref = { index: link.index };
  await rtnl.links.set(ref, { up: true, mtu: 1300, alias: 'aether:test' });
  await rtnl.links.set({ name: 'b' }, { up: true });
  await rtnl.addrs.add({
    ifindex: link.index,
    address: prefixBytes('10.1.2.1/30')!,
    protocol: 174,
  });
  await rtnl.routes.add({
    to: prefixBytes('10.9.0.0/16')!,
    via: addressBytes('10.1.2.2')!,
    protocol: 174,
  });
  const shown = JSON.parse(ip('-n', ns.name ?? '', '-j', '-d', 'addr', 'show', 'dev', 'a')) as {
    mtu: number;
    ifalias: string;
    flags: string[];
    addr_info: { local: string; prefixlen: number; protocol?: string }[];
  }[];
  assert.equal(shown[0]?.mtu, 1300);
  assert.equal(shown[0]?.ifalias, 'aether:test');
  assert.ok(shown[0]?.flags.includes('UP'));
  assert.ok(shown[0]?.addr_info.some((a) => a.local === '10.1.2.1' && a.prefixlen === 30));
  assert.match(ip('-n', ns.name ?? '', 'route'), /10\.9\.0\.0\/16 via 10\.1\.2\.2 dev a proto 174/);
});

test('what ip makes is what we list', async (t) => {
  const { ns, rtnl } = await setup(t);
  const name = ns.name ?? '';
  ip('-n', name, 'link', 'add', 'name', 'a', 'mtu', '1280', 'type', 'veth', 'peer', 'name', 'b');
  ip('-n', name, 'link', 'set', 'dev', 'a', 'up', 'alias', 'hello');
  ip('-n', name, 'link', 'set', 'dev', 'b', 'up');
  ip('-n', name, 'addr', 'add', 'fd10:1::2/64', 'dev', 'a', 'nodad');
  ip('-n', name, 'route', 'add', '2001:db8::/32', 'via', 'fd10:1::1', 'metric', '77');
  const links = (await rtnl.links.list()).objects;
  const a = links.find((link) => link.name === 'a');
  const b = links.find((link) => link.name === 'b');
  assert.deepEqual([a?.mtu, a?.alias, a && isUp(a), a?.link], [1280, 'hello', true, b?.index]);
  const addrs = (await rtnl.addrs.list()).objects;
  assert.ok(addrs.some((addr) => addr.address === 'fd10:1::2/64' && addr.ifindex === a?.index));
  const route = (await rtnl.routes.list()).objects.find((r) => r.to === '2001:db8::/32');
  assert.deepEqual([route?.via, route?.metric, route?.protocol], ['fd10:1::1', 77, 3]);
});

test('refusals carry code, what was asked, and the kernel’s own sentence', async (t) => {
  const { rtnl } = await setup(t);
  await rtnl.links.addVeth({ name: 'a', peer: { name: 'b' } });
  await assert.rejects(rtnl.links.addVeth({ name: 'a', peer: { name: 'c' } }), code('EEXIST'));
  await assert.rejects(rtnl.links.set({ name: 'a' }, { mtu: 10 }), (error) => {
    assert.ok(error instanceof NetlinkError);
    assert.deepEqual(
      [error.code, error.op, error.extack, error.changed],
      ['EINVAL', 'link set a', 'mtu less than device minimum', false],
    );
    return true;
  });
  await assert.rejects(rtnl.links.delete({ name: 'none' }), code('ENODEV'));
  assert.equal(await rtnl.links.get({ index: 4711 }), null);
  const absent = { to: prefixBytes('10.0.0.0/8')!, via: addressBytes('10.1.1.1')!, protocol: 174 };
  await assert.rejects(rtnl.routes.add(absent), code('ENETUNREACH'));
  await assert.rejects(rtnl.routes.delete(absent), code('ESRCH'));
});

test('a route of another protocol is not deleted', async (t) => {
  const { ns, rtnl } = await setup(t);
  const name = ns.name ?? '';
  ip('-n', name, 'link', 'set', 'lo', 'up');
  ip('-n', name, 'addr', 'add', '10.1.1.1/24', 'dev', 'lo');
  ip('-n', name, 'route', 'add', '10.7.0.0/16', 'via', '10.1.1.2', 'proto', '99');
  const spec = { to: prefixBytes('10.7.0.0/16')!, via: addressBytes('10.1.1.2')!, protocol: 174 };
  await assert.rejects(rtnl.routes.delete(spec), code('ESRCH'));
  assert.match(ip('-n', name, 'route'), /10\.7\.0\.0\/16/);
});

test('500 requests at once all end, and one request deletes what they made', async (t) => {
  const { rtnl } = await setup(t);
  const numbers = Array.from({ length: 250 }, (_, i) => i);
  await Promise.all(
    numbers.map((i) => rtnl.links.addVeth({ name: `v${i}`, group: 5, peer: { name: `p${i}` } })),
  );
  await Promise.all(numbers.map((i) => rtnl.links.set({ name: `v${i}` }, { alias: `n${i}` })));
  const { objects } = await rtnl.links.list();
  assert.equal(objects.filter((link) => link.group === 5).length, 250);
  assert.ok(numbers.every((i) => objects.some((l) => l.name === `v${i}` && l.alias === `n${i}`)));
  await rtnl.links.delete({ group: 5 });
  assert.deepEqual(
    (await rtnl.links.list()).objects.map((link) => link.name),
    ['lo'],
  );
  await assert.rejects(rtnl.links.delete({ group: 5 }), code('ENODEV'));
});

test('deleting links does not hold up the loop', async (t) => {
  const { rtnl } = await setup(t);
  const names = Array.from({ length: 12 }, (_, i) => `v${i}`);
  await Promise.all(names.map((name) => rtnl.links.addVeth({ name, peer: { name: `p${name}` } })));
  let last = performance.now();
  let worstGapMs = 0;
  const timer = setInterval(() => {
    worstGapMs = Math.max(worstGapMs, performance.now() - last);
    last = performance.now();
  }, 1);
  const start = performance.now();
  await Promise.all(names.map((name) => rtnl.links.delete({ name })));
  const tookMs = performance.now() - start;
  clearInterval(timer);
  // Sent from the loop itself, the gap would be nearly all of it.
  assert.ok(worstGapMs < tookMs / 2 || tookMs < 50, `gap ${worstGapMs} of ${tookMs} ms`);
});

test('dumps of a table that changes under them end, and say whether they are torn', async (t) => {
  const { ns, rtnl } = await setup(t);
  const churn = await ns.rtnl();
  const stable = Array.from({ length: 60 }, (_, i) => `s${i}`);
  await Promise.all(stable.map((name) => rtnl.links.addVeth({ name, peer: { name: `p${name}` } })));
  let done = false;
  const churning = (async () => {
    for (let i = 0; !done; i++) {
      await churn.links.addVeth({ name: `c${i}`, peer: { name: `d${i}` } });
      await churn.links.delete({ name: `c${i}` });
    }
  })();
  for (let i = 0; i < 10; i++) {
    const { objects, interrupted } = await rtnl.links.list();
    const names = new Set(objects.map((link) => link.name));
    assert.ok(interrupted || stable.every((name) => names.has(name)));
  }
  done = true;
  await churning;
});

test('dumps and gets that run side by side never disturb one another', async (t) => {
  // A dump that another thread starts than the one that continues it can fail with a false EINVAL.
  const { ns, rtnl } = await setup(t);
  for (let round = 0; round < 150; round++) {
    const all = [rtnl.links.list(), rtnl.addrs.list(), rtnl.routes.list(), rtnl.links.list()];
    await Promise.all([...all, rtnl.nsid(ns.fd), rtnl.links.get({ name: 'lo' })]);
  }
});

test('closing ends what is in flight as unknown, and what comes after as refused', async (t) => {
  const { rtnl } = await setup(t);
  await rtnl.links.addVeth({ name: 'a', peer: { name: 'b' } });
  const pending = rtnl.links.delete({ name: 'a' });
  rtnl.close();
  rtnl.close();
  await assert.rejects(pending, (e) => e instanceof NetlinkError && e.changed === null);
  await assert.rejects(rtnl.links.list(), (e) => e instanceof NetlinkError && e.changed === false);
});
