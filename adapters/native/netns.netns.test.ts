import assert from 'node:assert/strict';
import { readlinkSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { codeOf } from './errors';
import { native } from './native';
import { inspectName, NetNs, netnsPath } from './netns';
import { ip, testNamespace, uniqueName } from './test-support';

test('a namespace is made where `ip netns` sees it, and its id is the nsfs inode', async (t) => {
  const ns = await testNamespace(t);
  const name = ns.name ?? '';
  assert.match(ip('netns', 'list'), new RegExp(`^${name}\\b`, 'm'));
  assert.deepEqual(inspectName(name), { state: 'mounted', inode: ns.id });
  assert.equal(readlinkSync(`/proc/self/fd/${ns.fd}`), netnsPath(name));
  assert.notEqual(ns.id, statSync('/proc/self/ns/net').ino);
  await ns.delete();
  assert.deepEqual(inspectName(name), { state: 'absent' });
});

test('a name that is taken is EEXIST, one that is not there ENOENT', async (t) => {
  const ns = await testNamespace(t);
  await assert.rejects(NetNs.create(ns.name ?? ''), { code: 'EEXIST', syscall: 'open' });
  await assert.rejects(native.nsDelete(netnsPath(uniqueName('none'))), { code: 'ENOENT' });
});

test('a file without a namespace is seen as such, and can be deleted', async () => {
  const name = uniqueName('cut');
  writeFileSync(netnsPath(name), '');
  assert.deepEqual(inspectName(name), { state: 'unmounted' });
  await native.nsDelete(netnsPath(name));
  assert.deepEqual(inspectName(name), { state: 'absent' });
});

test('creating many at once leaves every pool thread in its own namespace', async (t) => {
  const home = statSync('/proc/self/ns/net').ino;
  const made = await Promise.all(Array.from({ length: 12 }, () => testNamespace(t)));
  assert.equal(new Set(made.map((ns) => ns.id)).size, 12);
  // Reads of the pool: were a thread left behind, some would see another namespace.
  const seen = await Promise.all(
    Array.from({ length: 40 }, () => native.sysctlRead(null, ['net/ipv4/ip_forward'])),
  );
  assert.equal(seen.length, 40);
  const { readlink } = await import('node:fs/promises');
  const links = await Promise.all(
    Array.from({ length: 40 }, () => readlink('/proc/thread-self/ns/net')),
  );
  assert.deepEqual([...new Set(links)], [`net:[${home}]`]);
});

test('sysctls are those of the namespace; the host keeps its own', async (t) => {
  const ns = await testNamespace(t);
  const host = NetNs.host();
  t.after(() => host.close());
  const key = 'net.ipv4.ip_forward';
  const [before] = await host.readSysctls([key]);
  assert.equal(await ns.writeSysctl(key, '1'), '0');
  assert.deepEqual(await ns.readSysctls([key, 'net.ipv4.no_such_key']), ['1', null]);
  assert.deepEqual(await host.readSysctls([key]), [before]);
  await assert.rejects(ns.writeSysctl('net.ipv4.no_such_key', '1'), { code: 'ENOENT' });
  await assert.rejects(ns.writeSysctl(key, 'x'), { code: 'EINVAL', syscall: 'write' });
});

test('keys that are not of a namespace, or leave /proc/sys, are refused', async (t) => {
  const ns = await testNamespace(t);
  for (const key of ['kernel.hostname', 'net./../../kernel.hostname', 'net..ipv4', 'net.']) {
    await assert.rejects(ns.readSysctls([key]), /not a sysctl of a namespace/, key);
  }
});

test('errors of the addon name code, errno and syscall', async () => {
  const error: unknown = await native.nsDelete('/run/netns').catch((e: unknown) => e);
  assert.ok(error instanceof Error);
  assert.ok(['EBUSY', 'EISDIR', 'EPERM'].includes(codeOf(error)), codeOf(error));
});
