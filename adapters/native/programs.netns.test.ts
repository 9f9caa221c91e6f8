import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test, type TestContext } from 'node:test';
import { native, type BpfMap } from './native';
import { NetNs } from './netns';
import { testObject } from './test-programs';
import { testNamespace, uniqueName, waitFor } from './test-support';

const XDP_PASS = 2;
const XDP_TX = 3;
const FRAME = new Uint8Array(64).fill(0xff, 0, 6);

const u32 = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);

before(() => native.bpfFsMount('/sys/fs/bpf'));

async function load(t: TestContext, rodata: Uint8Array | null = null) {
  const object = await native.BpfObject.load(testObject(), null, rodata);
  t.after(() => object.close());
  return object;
}

const hitsOf = (hits: BpfMap): number => {
  const value = new Uint32Array(2);
  hits.lookup(u32(0), new Uint8Array(value.buffer));
  return value[0]!;
};

test('a program tells its maps, is pinned and opened again', async (t) => {
  const object = await load(t);
  const program = object.program('inner_word');
  const outer = object.map('outer');
  assert.ok(program.info.mapIds.includes(outer.info.id));
  assert.deepEqual([program.info.runCount, program.info.runTimeNs], [0, 0]);
  const pin = join('/sys/fs/bpf', uniqueName('prog'));
  program.pin(pin);
  const again = native.BpfProgram.open(pin);
  assert.deepEqual(again.info, program.info);
  assert.throws(() => native.BpfMap.open(pin), { code: 'EINVAL' });
  unlinkSync(pin);
  for (const handle of [again, outer, program]) handle.close();
  assert.throws(() => native.BpfProgram.open(pin), { code: 'ENOENT' });
});

test('rodata is set before the program is loaded', async (t) => {
  for (const [rodata, verdict] of [
    [null, XDP_PASS],
    [u32(XDP_TX), XDP_TX],
  ] as const) {
    const program = (await load(t, rodata)).program('rodata_verdict');
    assert.equal(program.testRun(FRAME, 1).verdict, verdict);
    program.close();
  }
  await assert.rejects(load(t, new Uint8Array(4096)), { code: 'EINVAL', log: /8 bytes/ });
});

test('live frames leave by the interface that the program names, in its namespace', async (t) => {
  const ns = await testNamespace(t);
  const rtnl = await ns.rtnl();
  await rtnl.links.addVeth({ name: 'near', peer: { name: 'far' } });
  for (const name of ['near', 'far']) await rtnl.links.set({ name }, { up: true });
  const near = (await rtnl.links.get({ name: 'near' }))!;
  const far = (await rtnl.links.get({ name: 'far' }))!;
  // A veth takes XDP frames only while its peer polls, which a program there makes it do.
  const object = await load(t, u32(XDP_PASS, near.index));
  const [redirect, hits] = [object.program('redirect'), object.map('hits')];
  const inner = object.program('rodata_verdict');
  const receiver = await native.BpfLink.attachXdp(inner, far.index, ns.fd, 0);
  const tc = object.program('on_tc');
  const counted = await native.BpfLink.attachTcx(tc, far.index, ns.fd, 'ingress');
  assert.equal(counted.info.ifindex, far.index);
  const before = hitsOf(hits);
  assert.ok((await redirect.sendLive(FRAME, 500, 64, ns.fd, 0)) > 0);
  await waitFor('all frames', () => hitsOf(hits) >= before + 500);
  for (const handle of [counted, receiver, tc, inner, hits, redirect]) handle.close();
});

test('live frames: what the kernel refuses is an error', async (t) => {
  const program = (await load(t)).program('rodata_verdict');
  await assert.rejects(program.sendLive(new Uint8Array(4), 1, 1, null, -1), { code: 'EINVAL' });
  await assert.rejects(program.sendLive(FRAME, 1, 1, null, 1023), { code: 'EINVAL' });
  assert.throws(() => program.sendLive(FRAME, 1, 1, null, 4096), TypeError);
  assert.throws(() => program.sendLive(FRAME, 1, 1, 9999, 0), { code: 'EBADF' });
  program.close();
  assert.throws(() => program.sendLive(FRAME, 1, 1, null, 0), { code: 'EBADF' });
});

test('tcx sees what leaves by an interface, until its link closes', async (t) => {
  const object = await load(t);
  const [program, hits] = [object.program('on_tc'), object.map('hits')];
  const host = NetNs.host();
  const rtnl = await host.rtnl();
  const lo = (await rtnl.links.get({ name: 'lo' }))!;
  await rtnl.links.set({ name: 'lo' }, { up: true });
  const link = await native.BpfLink.attachTcx(program, lo.index, null, 'egress');
  const socket = createSocket('udp4');
  t.after(() => socket.close());
  const send = (): Promise<void> =>
    new Promise((resolve, reject) =>
      socket.send('x', 9, '127.0.0.1', (error) => (error ? reject(error) : resolve())),
    );
  await send();
  await waitFor('the packet', () => hitsOf(hits) > 0);
  await link.detach();
  link.close();
  const seen = hitsOf(hits);
  await send();
  assert.equal(hitsOf(hits), seen);
  assert.throws(() => native.BpfLink.attachTcx(program, 1, null, 'up' as never), TypeError);
  for (const handle of [program, hits]) handle.close();
  host.close();
});

test('a tracing program runs at the hook that its section names', async (t) => {
  const object = await load(t);
  const [program, hits] = [object.program('on_switch'), object.map('hits')];
  const link = await native.BpfLink.attachTracing(program);
  await waitFor('a switch', () => hitsOf(hits) > 0);
  link.close();
  const xdp = object.program('inner_word');
  await assert.rejects(native.BpfLink.attachTracing(xdp), { code: 'EINVAL' });
  for (const handle of [program, hits, xdp]) handle.close();
});

/** A cgroup of its own with this process in it; the hierarchy is mounted for the test alone. */
function enterCgroup(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'aether-cgroup-'));
  execFileSync('mount', ['-t', 'cgroup2', 'none', root]);
  const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
  const group = join(root, own, uniqueName('cg'));
  const move = (to: string): void => writeFileSync(join(to, 'cgroup.procs'), `${process.pid}`);
  mkdirSync(group);
  t.after(() => {
    move(join(root, own));
    rmdirSync(group);
    execFileSync('umount', [root]);
    rmdirSync(root);
  });
  move(group);
  return group;
}

test('a cgroup program sees what its processes send', async (t) => {
  const object = await load(t);
  const [program, hits] = [object.program('on_cgroup'), object.map('hits')];
  const group = enterCgroup(t);
  const link = await native.BpfLink.attachCgroup(program, group, 'egress');
  const socket = createSocket('udp4');
  t.after(() => socket.close());
  socket.send('x', 9, '127.0.0.1');
  await waitFor('the packet', () => hitsOf(hits) > 0);
  await assert.rejects(native.BpfLink.attachCgroup(program, '/nowhere', 'egress'), {
    code: 'ENOENT',
  });
  for (const handle of [link, program, hits]) handle.close();
});
