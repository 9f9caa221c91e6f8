import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSocket } from 'node:dgram';
import { before, test, type TestContext } from 'node:test';
import { prefixBytes } from '../../../core/netlink/ip';
import { CheckedFile } from '../../state/checked-file';
import { FilterEngine } from './engine';
import { pinInfo, pinnedInterfaces } from './pins';
import { XdpProgram, type Known } from './program';
import { native } from '../native';
import { NetNs } from '../netns';
import type { Rtnl } from '../rtnl';
import { ip, uniqueName, waitFor } from '../test-support';

const OBJECT = join(__dirname, '../../../../bpf/build/xdp_root.bpf.o');

let filters: FilterEngine;
before(async () => {
  filters = await FilterEngine.open();
});

/** An interface of the process's own namespace, as `attach` wants it; its peer beside it. */
async function setup(t: TestContext) {
  const host = NetNs.host();
  const rtnl = await host.rtnl();
  const name = uniqueName('x');
  await rtnl.links.addVeth({ name, peer: { name: `${name}p` } });
  t.after(async () => {
    await filters.detach(name);
    await rtnl.links.delete({ name: `${name}p` });
    host.close();
  });
  for (const end of [name, `${name}p`]) await rtnl.links.set({ name: end }, { up: true });
  const { index } = (await rtnl.links.get({ name }))!;
  return { rtnl, name, index };
}

const xdpOf = async (rtnl: Rtnl, name: string) => (await rtnl.links.get({ name }))?.xdp ?? null;

for (const mode of ['native', 'generic'] as const) {
  test(`attached in ${mode} mode, pinned, and taken off again`, async (t) => {
    const { rtnl, name, index } = await setup(t);
    assert.equal(pinInfo(name), null);
    await filters.attach(name, index, mode);
    const pin = pinInfo(name);
    assert.deepEqual([pin?.ifindex, pin?.tag], [index, filters.tag]);
    assert.deepEqual(await xdpOf(rtnl, name), { attached: mode, programId: pin?.programId });
    assert.ok(pinnedInterfaces().includes(name));
    await filters.detach(name);
    assert.equal(await xdpOf(rtnl, name), null);
    assert.ok(!pinnedInterfaces().includes(name));
    await filters.detach(name);
  });
}

test('what was learned of the program by loading it is remembered, and the kernel has the last word', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'aether-known-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = new CheckedFile<Known>(join(directory, 'missing', 'known'));
  const open = () => XdpProgram.open(file.path);
  const { tag } = await open();
  assert.equal(tag, filters.tag);
  const kept = await file.load();
  assert.ok(kept.kind === 'value');
  await file.save({ ...kept.value, tag: '0123456789abcdef' });
  const misled = await open();
  assert.equal(misled.tag, '0123456789abcdef');
  await misled.load(null, async (_program, maps) => maps.close());
  assert.equal(misled.tag, tag);
  await file.save({ ...kept.value, of: 'another kernel', tag: '0123456789abcdef' });
  assert.equal((await open()).tag, tag);
});

test('packets are counted, and a replaced program goes on counting', async (t) => {
  const { rtnl, name, index } = await setup(t);
  await filters.attach(name, index, 'native');
  await rtnl.addrs.add({
    ifindex: (await rtnl.links.get({ name: `${name}p` }))!.index,
    address: prefixBytes('10.77.1.1/24')!,
  });
  ip('neigh', 'add', '10.77.1.2', 'lladdr', '02:00:00:00:00:01', 'dev', `${name}p`);
  const socket = createSocket('udp4');
  t.after(() => socket.close());
  const send = (): void => socket.send('hello', 9, '10.77.1.2');
  // The kernel itself sends IPv6 on a link that comes up.
  const passed = (): number => filters.find(name)?.live?.maps.counters().pass.packets ?? 0;
  const before = passed();
  send();
  await waitFor('the packet', () => passed() > before);
  const old = pinInfo(name)?.programId;
  await filters.replace(name);
  assert.notEqual(pinInfo(name)?.programId, old);
  assert.equal((await xdpOf(rtnl, name))?.programId, pinInfo(name)?.programId);
  const kept = passed();
  assert.ok(kept > before);
  send();
  await waitFor('the second packet', () => passed() > kept);
});

test('a program of somebody else is neither replaced nor removed', async (t) => {
  const { rtnl, name, index } = await setup(t);
  const object = await native.BpfObject.load(readFileSync(OBJECT), null, null);
  const program = object.program('aether_root');
  const link = await native.BpfLink.attachXdp(program, index, null, 0);
  const foreign = await xdpOf(rtnl, name);
  assert.ok(foreign);
  await assert.rejects(filters.attach(name, index, 'native'), (e: Error & { code?: string }) =>
    ['EBUSY', 'EEXIST'].includes(e.code ?? ''),
  );
  await assert.rejects(filters.replace(name), { code: 'ENOENT' });
  await filters.detach(name);
  assert.deepEqual(await xdpOf(rtnl, name), foreign);
  for (const handle of [link, program, object]) handle.close();
});

test('a pin whose device is gone says so, and gives way to the next attach', async (t) => {
  const { rtnl, name, index } = await setup(t);
  await filters.attach(name, index, 'native');
  await rtnl.links.delete({ name });
  assert.equal(pinInfo(name)?.ifindex, 0);
  await assert.rejects(filters.replace(name), { code: 'ENOLINK' });
  await rtnl.links.addVeth({ name, peer: { name: `${name}p` } });
  const link = (await rtnl.links.get({ name }))!;
  await filters.attach(name, link.index, 'native');
  assert.equal(pinInfo(name)?.ifindex, link.index);
});

test('an interface name with a dot can be pinned', async (t) => {
  const { rtnl, name } = await setup(t);
  const dotted = `${name}.1`;
  await rtnl.links.set({ name }, { up: false });
  const { index } = (await rtnl.links.get({ name }))!;
  await rtnl.links.set({ index }, { name: dotted });
  await filters.attach(dotted, index, 'generic');
  assert.ok(pinnedInterfaces().includes(dotted));
  await filters.detach(dotted);
  assert.ok(!existsSync('/sys/fs/bpf/aether') || !pinnedInterfaces().includes(dotted));
});
