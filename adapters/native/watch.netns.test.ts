import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { prefixBytes } from '../../core/netlink/ip';
import { testNamespace, waitFor } from './test-support';
import { Watch, type WatchEvent } from './watch';

const summary = (event: WatchEvent): string => {
  if (event.kind === 'overrun') return 'overrun';
  const verb = event.deleted ? '-' : '+';
  if (event.kind === 'link') return `${verb}link ${event.link.name}`;
  if (event.kind === 'addr') return `${verb}addr ${event.addr.address}`;
  return `${verb}route ${event.route.to}`;
};

test('links, addresses and routes are told as they change, with the port that asked', async (t) => {
  const ns = await testNamespace(t);
  const rtnl = await ns.rtnl();
  const events: WatchEvent[] = [];
  await ns.watch(['LINK', 'IPV4_IFADDR', 'IPV4_ROUTE'], (event, atMs) => {
    assert.ok(Math.abs(atMs - Date.now()) < 5000);
    events.push(event);
  });
  await rtnl.links.addVeth({ name: 'a', peer: { name: 'b' } });
  const link = await rtnl.links.get({ name: 'a' });
  assert.ok(link);
  await rtnl.links.set({ name: 'a' }, { up: true });
  await rtnl.addrs.add({
    ifindex: link.index,
    address: prefixBytes('10.1.1.1/24')!,
    protocol: 174,
  });
  await rtnl.links.delete({ name: 'a' });
  const wanted = ['+link a', '+link b', '+addr 10.1.1.1/24', '-addr 10.1.1.1/24', '-link a'];
  await waitFor('all events', () => wanted.every((w) => events.some((e) => summary(e) === w)));
  const made = events.find((event) => summary(event) === '+addr 10.1.1.1/24');
  assert.ok(made && made.kind !== 'overrun' && made.portId > 0);
});

test('a watcher sees its own namespace only', async (t) => {
  const [one, other] = [await testNamespace(t), await testNamespace(t)];
  const events: string[] = [];
  await one.watch(['LINK'], (event) => events.push(summary(event)));
  await (await other.rtnl()).links.addVeth({ name: 'x', peer: { name: 'y' } });
  await (await one.rtnl()).links.addVeth({ name: 'a', peer: { name: 'b' } });
  await waitFor('our own link', () => events.includes('+link a'));
  assert.ok(!events.some((event) => event.endsWith('x')));
});

test('more events than the buffer holds are told as an overrun, and the watch goes on', async (t) => {
  const ns = await testNamespace(t);
  const rtnl = await ns.rtnl();
  const events: string[] = [];
  const watch = await Watch.open(ns.fd, ['LINK'], (event) => events.push(summary(event)), 4096);
  t.after(() => watch.close());
  const blocked = Array.from({ length: 40 }, (_, i) =>
    rtnl.links.addVeth({ name: `v${i}`, group: 3, peer: { name: `p${i}` } }),
  );
  await turn();
  // The nl-tx thread goes on while this thread reads nothing.
  const end = performance.now() + 300;
  while (performance.now() < end);
  await Promise.all(blocked);
  await waitFor('overrun', () => events.includes('overrun'));
  const count = events.length;
  await waitFor('the event of a change after it', async () => {
    await rtnl.links.set({ name: 'v0' }, { mtu: 1400 + (events.length % 50) });
    return events.slice(count).includes('+link v0');
  });
});

test('closing inside the callback, twice, and while events come is harmless', async (t) => {
  const ns = await testNamespace(t);
  const rtnl = await ns.rtnl();
  let calls = 0;
  const watch = await ns.watch(['LINK'], () => {
    calls++;
    watch.close();
    watch.close();
  });
  await rtnl.links.addVeth({ name: 'a', peer: { name: 'b' } });
  await waitFor('one call', () => calls > 0);
  await rtnl.links.addVeth({ name: 'c', peer: { name: 'd' } });
  await rtnl.links.list();
  assert.ok(calls <= 2, `${calls}: both ends may come in one datagram, nothing after it`);
});
