import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { HostEvent } from '../../core/model/host';
import { openHost } from './host';
import { NetNs } from './netns';
import { ip, uniqueName, waitFor } from './test-support';

async function setup(t: TestContext) {
  const [ns, link] = [uniqueName('w'), uniqueName('l')];
  const host = await openHost();
  const events: HostEvent[] = [];
  const scope = {
    namespaces: [ns],
    sysctls: { [ns]: ['net.ipv4.ip_forward'] },
    filters: [link],
  };
  await NetNs.create(ns).then((made) => made.close());
  ip('link', 'add', 'name', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', ns);
  const watch = await host.watch(scope, (event) => events.push(event));
  t.after(async () => {
    await host.applyAll([{ op: 'detachFilter', interface: link }]);
    watch.close();
    host.close();
    try {
      ip('netns', 'delete', ns);
    } catch {
      // the test deleted it
    }
  });
  const told = (what: HostEvent['what'], summary: RegExp): Promise<HostEvent> =>
    waitFor(`${what} ${summary}`, () =>
      events.find((event) => event.what === what && summary.test(event.summary)),
    );
  return { ns, link, host, events, told };
}

test('nothing is told while nothing changes', async (t) => {
  const { events } = await setup(t);
  await new Promise((resolve) => setTimeout(resolve, 1300));
  assert.deepEqual(events, []);
});

test('links, addresses and routes of both sides are told, with the namespace', async (t) => {
  const { ns, link, told } = await setup(t);
  ip('link', 'set', 'dev', link, 'up');
  ip('-n', ns, 'link', 'set', 'dev', 'eth0', 'up');
  ip('-n', ns, 'addr', 'add', '10.67.1.2/30', 'dev', 'eth0');
  ip('-n', ns, 'route', 'add', 'default', 'via', '10.67.1.1');
  assert.equal((await told('link', new RegExp(`^link ${link} changed`))).namespace, null);
  assert.equal((await told('link', /^link eth0 changed/)).namespace, ns);
  assert.equal((await told('address', /^address 10\.67\.1\.2\/30 .*changed/)).namespace, ns);
  assert.ok(((await told('route', /^route 0\.0\.0\.0\/0 changed/)).portId ?? 0) > 0);
  ip('link', 'delete', 'dev', link);
  await told('link', new RegExp(`^link ${link} deleted`));
  await told('link', /^link eth0 deleted/);
});

test('a namespace that is deleted dies although we watch it, and its veth with it', async (t) => {
  const { ns, link, told } = await setup(t);
  ip('netns', 'delete', ns);
  assert.equal((await told('namespace', /deleted$/)).namespace, ns);
  // Only when the last handle is closed does the kernel take the namespace down.
  await told('link', new RegExp(`^link ${link} deleted`));
});

test('a namespace that comes back under its name is watched again', async (t) => {
  const { ns, events, told } = await setup(t);
  ip('netns', 'delete', ns);
  ip('netns', 'add', ns);
  await told('namespace', /appeared$/);
  const before = events.length;
  ip('-n', ns, 'link', 'set', 'dev', 'lo', 'up');
  await waitFor('its lo', () =>
    events.slice(before).some((e) => e.namespace === ns && e.summary === 'link lo changed'),
  );
});

test('what sends no event is polled: bpf_link and sysctls', async (t) => {
  const { ns, link, host, told } = await setup(t);
  ip('netns', 'exec', ns, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
  assert.equal((await told('sysctl', /^sysctl net\.ipv4\.ip_forward changed/)).namespace, ns);
  const [attached] = await host.applyAll([
    { op: 'attachFilter', interface: link, mode: 'generic' },
  ]);
  assert.deepEqual(attached, { ok: true });
  await told('filter', new RegExp(`^filter ${link} changed`));
});

test('our own deletion of a watched namespace works as well', async (t) => {
  const { ns, host, link, told } = await setup(t);
  const seen = (await host.observe({ namespaces: [ns], sysctls: {}, filters: [] })).namespaces[ns];
  assert.equal(seen?.state, 'mounted');
  const [result] = await host.applyAll([
    { op: 'deleteNamespace', namespace: ns, inode: seen.inode },
  ]);
  assert.deepEqual(result, { ok: true });
  await told('link', new RegExp(`^link ${link} deleted`));
});
