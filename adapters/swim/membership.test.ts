import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { PROFILES } from '../../core/swim/profiles';
import type { Message } from '../../core/swim/types';
import { until } from '../testing/until';
import { Counters } from './counters';
import { wrapPacket } from './framing';
import { Gossip } from './gossip';
import { openSockets } from './sockets';
import { cluster, keyFile, listed, member, seen, writeKeys } from './testing';

test('members find each other by one address, and each says who it is', async (t) => {
  const [first, second, third] = await cluster(t, 3, { keys: keyFile(t) });
  assert.ok(first && second && third);
  const view = seen(third, 'm1');
  assert.equal(view?.boot, 'm1-boot');
  assert.equal(view.address, second.address);
  assert.ok(Math.abs(Date.now() - view.sinceMs) < 15_000);
  assert.equal(await third.join([first.address, first.address, third.address]), 1);
});

test('who leaves has left at once, and nobody accuses it', async (t) => {
  const [leaver, ...others] = await cluster(t, 3);
  assert.ok(leaver);
  await leaver.leave(5_000);
  for (const other of others) {
    await until('m0 has left', () => seen(other, 'm0')?.state === 'left');
    assert.equal(seen(other, 'm0')?.confirmations, 0);
  }
  assert.deepEqual(leaver.members(), []);
});

test('who ends without a word is dead, and at least two have found so', async (t) => {
  const [gone, ...others] = await cluster(t, 4);
  assert.ok(gone);
  const began = performance.now();
  await gone.close();
  for (const other of others) {
    await until('m0 is dead', () => seen(other, 'm0')?.state === 'dead');
    assert.ok((seen(other, 'm0')?.confirmations ?? 0) >= 2);
    assert.deepEqual(listed(other, 'alive'), ['m1', 'm2', 'm3']);
  }
  const tookMs = performance.now() - began;
  assert.ok(tookMs > 500, `it was given up after ${tookMs} ms`);
});

test('addresses where nobody can be are no reason to end', async (t) => {
  const [first, second] = await cluster(t, 2);
  assert.ok(first && second);
  assert.equal(await first.join(['127.0.0.1:99999', '127.0.0.1:x', '', second.address]), 1);
  assert.deepEqual(listed(first, 'alive'), ['m0', 'm1']);
});

test('who pings from no port is not answered, and ends nothing', async (t) => {
  const sockets = await openSockets('127.0.0.1:0');
  const counters = new Counters();
  const secrets = { label: new Uint8Array(0), keys: null };
  const gossip = new Gossip(
    {
      name: 'm0',
      meta: new Uint8Array(0),
      profile: PROFILES.fast,
      secrets,
      counters,
      onState: () => undefined,
      onConflict: () => undefined,
    },
    sockets,
  );
  t.after(() => gossip.close());
  // As the kernel hands on what comes from port 0; to send that takes a raw socket.
  const heard = (message: Message): boolean =>
    sockets.udp.emit('message', Buffer.from(wrapPacket(secrets, [message], false)), {
      address: '127.0.0.1',
      port: 0,
    });
  heard({ kind: 'ping', seq: 1, node: '', source: null, sourceName: '' });
  const target = sockets.address;
  heard({ kind: 'indirect', seq: 2, target, node: 'm0', nack: true, source: null, sourceName: '' });
  await until('it has refused to answer any of it', () => counters.read().sendsFailed === 2);
  assert.equal(counters.read()['refused:malformed'], 0);
});

test('another key, and another label, are dropped and counted', async (t) => {
  const keys = keyFile(t);
  const { membership: ours } = await member(t, 'ours', { keys });
  const { membership: stranger } = await member(t, 'stranger', { keys: keyFile(t) });
  const { membership: plain } = await member(t, 'plain');
  const { membership: other } = await member(t, 'other', { keys, label: 'other' });
  const answers = [stranger, plain, other].map((one) => one.join([ours.address]));
  assert.deepEqual(await Promise.all(answers), [0, 0, 0]);
  const counters = ours.counters();
  assert.equal(counters['refused:key'], 2);
  assert.equal(counters['refused:label'], 1);
  assert.deepEqual(listed(ours, 'alive'), ['ours']);
});

test('keys are changed without anybody being lost, and the old one is worth nothing then', async (t) => {
  const [before, after] = [randomBytes(16), randomBytes(32)];
  const files = [0, 1].map(() => keyFile(t, before));
  const [first, second] = await Promise.all(files.map((keys, i) => member(t, `m${i}`, { keys })));
  assert.ok(first && second);
  await second.membership.join([first.membership.address]);
  const both = [first, second];
  const states = new Set<string>();
  for (const { membership } of both) {
    membership.onChange(() => membership.members().forEach(({ state }) => states.add(state)));
  }
  await until('they are two', () => both.every((one) => one.membership.members().length === 2));
  // Read everywhere, then written everywhere, then alone; each step one member after the other.
  const steps = [[before, after], [after, before], [after]];
  for (const [i, keys] of steps.entries()) {
    for (const [j, path] of files.entries()) {
      writeKeys(path, keys);
      const { notices } = both[j] ?? first;
      await until(
        'it has read them',
        () => notices.filter(({ kind }) => kind === 'keys').length > i,
      );
    }
  }
  const sent = first.membership.counters().packetsReceived;
  await until('they go on', () => first.membership.counters().packetsReceived > sent + 10);
  assert.deepEqual([...states], ['alive']);
  assert.equal(first.membership.counters()['refused:key'], 0);

  const { membership: stranger } = await member(t, 'stranger', { keys: keyFile(t, before) });
  assert.equal(await stranger.join([first.membership.address]), 0);

  writeKeys(files[0] ?? '', []);
  await until('it is told', () => first.notices.some(({ kind }) => kind === 'keysRefused'));
  assert.equal(await second.membership.join([first.membership.address]), 1);
});

test('what can not start says why', async (t) => {
  const { membership } = await member(t, 'a');
  const failing = async (options: Parameters<typeof member>[2]): Promise<string> =>
    member(t, 'b', options).then(
      () => 'started',
      (error: Error) => error.message,
    );
  assert.match(await failing({ listen: membership.address }), /can't listen on .*EADDRINUSE/);
  assert.match(await failing({ listen: '0.0.0.0:7701' }), /nobody reaches us/);
  assert.match(await failing({ listen: 'localhost:7701' }), /no IP address/);
  assert.match(await failing({ keys: '/nowhere/gossip.keys' }), /can't be read/);
  assert.match(await failing({ keys: keyFile(t, randomBytes(5)) }), /no key in line 1/);
  assert.match(await failing({ label: 'x'.repeat(65) }), /more than 64 bytes/);
});
