/** Two bfd processes on a real link. Times are read from what the processes say, never from a sleep. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../adapters/testing/until';
import { lease, pair, session } from './testing/bfd-host';

test('two edges come up over IPv4, IPv6 and several hops, as negotiated', async (t) => {
  const { a, b, v4, v6 } = pair(t);
  const multihop = { multihop: true, local: null, intervalMs: 400 };
  a.start().attach(
    lease([session(v4.b), session(v6.b, { intervalMs: 200 }), session(v4.b, multihop)]),
  );
  b.start().attach(
    lease([session(v4.a, { multiplier: 5 }), session(v6.a), session(v4.a, multihop)]),
  );
  const up = (report: { sessions: { state: string }[] }): boolean =>
    report.sessions.length === 3 && report.sessions.every(({ state }) => state === 'up');
  await a.until('three sessions up', up);
  await b.until('three sessions up', up);
  const settled = await a.until('fast', ({ sessions }) =>
    sessions.every(({ transmitIntervalMs }) => transmitIntervalMs < 1_000),
  );
  const [direct, six, far] = settled.sessions;
  assert.equal(direct?.transmitIntervalMs, 300);
  assert.equal(direct?.detectTimeMs, 5 * 300);
  assert.equal(six?.transmitIntervalMs, 300, 'the slower of both');
  assert.equal(far?.transmitIntervalMs, 400);
  assert.equal(far?.multihop, true);
  const peer = await b.session(v4.a);
  assert.equal(direct?.remoteDiscriminator, peer.localDiscriminator);
  assert.equal(direct?.refused, null);
});

test('a silent cut is seen on both sides, one way as well; both come back by themselves', async (t) => {
  const { a, b, v4 } = pair(t);
  a.start().attach(lease([session(v4.b)]));
  b.start().attach(lease([session(v4.a)]));
  for (const ways of [['in', 'out'], ['in'], ['out']] as ('in' | 'out')[][]) {
    await Promise.all([a.untilState(v4.b, 'up'), b.untilState(v4.a, 'up')]);
    const downs = [(await a.session(v4.b)).downs, (await b.session(v4.a)).downs] as const;
    a.cut(...ways);
    await a.until('a saw it', ({ sessions }) => sessions[0]?.downs === downs[0] + 1);
    await b.until('b saw it', ({ sessions }) => sessions[0]?.downs === downs[1] + 1);
    const [atA, atB] = [await a.session(v4.b), await b.session(v4.a)];
    const expired = 'Control Detection Time Expired';
    const signaled = 'Neighbor Signaled Session Down';
    // Who is deaf notices by silence and says so; the other one hears it, unless it is deaf as well.
    assert.equal(atA.diagnostic, ways.includes('in') ? expired : signaled, ways.join());
    if (ways.join() === 'in') assert.equal(atB.diagnostic, signaled);
    if (ways.includes('out')) assert.equal(atB.diagnostic, expired);
    assert.equal(atA.transmitIntervalMs, 1_000, 'slow while it is down');
    a.heal();
  }
  await Promise.all([a.untilState(v4.b, 'up'), b.untilState(v4.a, 'up')]);
});

test('a session that is taken off the lease ends as administratively down', async (t) => {
  const { a, b, v4 } = pair(t);
  a.start().attach(lease([session(v4.b)]));
  b.start().attach(lease([session(v4.a)]));
  await Promise.all([a.untilState(v4.b, 'up'), b.untilState(v4.a, 'up')]);
  a.attach(lease([]));
  await a.until('gone', ({ sessions }) => sessions.length === 0);
  const { sessions } = await b.untilState(v4.a, 'down');
  assert.equal(sessions[0]?.remoteState, 'adminDown');
  assert.equal(sessions[0]?.remoteDiagnostic, 'Administratively Down');
  a.attach(lease([session(v4.b)]));
  await Promise.all([a.untilState(v4.b, 'up'), b.untilState(v4.a, 'up')]);
});

test('timers change while it is up, slower and faster, and no packet is missed', async (t) => {
  const { a, b, v4 } = pair(t);
  a.start().attach(lease([session(v4.b)]));
  b.start().attach(lease([session(v4.a)]));
  await Promise.all([a.untilState(v4.b, 'up'), b.untilState(v4.a, 'up')]);
  for (const intervalMs of [900, 100, 300]) {
    a.attach(lease([session(v4.b, { intervalMs, multiplier: 4 })]));
    const wanted = Math.max(intervalMs, 300);
    const negotiated = ({
      sessions: [view],
    }: {
      sessions: { transmitIntervalMs: number; detectTimeMs: number }[];
    }) => view?.transmitIntervalMs === wanted && view.detectTimeMs === 3 * wanted;
    await a.until(`${intervalMs} ms on this side`, negotiated);
    await b.until(
      `${intervalMs} ms on the other`,
      ({ sessions: [view] }) =>
        view?.transmitIntervalMs === wanted && view.detectTimeMs === 4 * wanted,
    );
  }
  for (const view of [await a.session(v4.b), await b.session(v4.a)]) {
    assert.equal(view.state, 'up');
    assert.equal(view.downs, 0);
  }
});

test('a restart inside the detection time is seen by nobody; one that takes longer is no failure here', async (t) => {
  const { a, b, v4 } = pair(t);
  const slow = { intervalMs: 1_000, multiplier: 5 };
  a.start().attach(lease([session(v4.b, slow)]));
  b.start().attach(lease([session(v4.a, slow)]));
  await Promise.all([a.untilState(v4.b, 'up'), b.untilState(v4.a, 'up')]);
  const before = await a.session(v4.b);
  // It rests between two writes; a kill in that pause costs the peer nothing, but the date.
  const memory = join(a.directory, 'state', 'bfd.json');
  await until('that it came up is kept', () =>
    readFileSync(memory, 'utf8').includes(`"sinceMs":${before.sinceMs}`),
  );
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    await a.end(signal);
    a.start();
    const { sessions } = await a.until(
      'answers',
      ({ sessions: [view] }) => (view?.packets.received ?? 0) > 0,
    );
    assert.equal(sessions[0]?.state, 'up');
    assert.equal(sessions[0]?.localDiscriminator, before.localDiscriminator);
    assert.equal(sessions[0]?.sinceMs, before.sinceMs);
    assert.equal((await b.session(v4.a)).downs, 0, signal);
  }
  await a.end('SIGKILL');
  await b.untilState(v4.a, 'down');
  const noticedMs = Date.now();
  // The peer counts from the last packet, we from the last sign of life: at most a pause apart.
  await until('nobody can take it for unnoticed', () => Date.now() > noticedMs + 1_100);
  a.start();
  await Promise.all([a.untilState(v4.b, 'up'), b.untilState(v4.a, 'up')]);
  assert.equal((await a.session(v4.b)).downs, 0);
  assert.equal((await b.session(v4.a)).downs, 1);
});

test('a path that dies while the process crashes again and again is noticed all the same', async (t) => {
  const { a, b, v4 } = pair(t);
  const slow = { intervalMs: 2_000, multiplier: 5 };
  a.start().attach(lease([session(v4.b, slow)]));
  b.start().attach(lease([session(v4.a, slow)]));
  await Promise.all([a.untilState(v4.b, 'up'), b.untilState(v4.a, 'up')]);
  await a.until('as slow as it shall be', ({ sessions }) => sessions[0]?.detectTimeMs === 10_000);
  b.cut('in', 'out');
  // Each life is shorter than the detection time, all of them together are longer.
  const endMs = Date.now() + 60_000;
  for (let lives = 0; ; lives++) {
    assert.ok(Date.now() < endMs, `not after ${lives} restarts`);
    await a.end('SIGKILL');
    a.start();
    const { sessions } = await a.until('it answers', ({ sessions: all }) => all.length === 1);
    if (sessions[0]?.state !== 'up') break;
  }
  assert.equal((await a.session(v4.b)).downs, 1);
});

/** Sends each to the BFD port of `to`, from the namespace of whoever runs it. */
const FORGER = `
const [to, ttl, ...packets] = process.argv.slice(1);
const socket = require('node:dgram').createSocket('udp4');
socket.bind(0, () => {
  socket.setTTL(Number(ttl));
  let left = packets.length;
  for (const hex of packets) {
    socket.send(Buffer.from(hex, 'hex'), 3784, to, () => --left === 0 && socket.close());
  }
});`;

test('what is forged, truncated or came over a router changes nothing', async (t) => {
  const { a, b, v4 } = pair(t);
  a.start().attach(lease([session(v4.b)]));
  b.start().attach(lease([session(v4.a)]));
  await Promise.all([a.untilState(v4.b, 'up'), b.untilState(v4.a, 'up')]);
  const { localDiscriminator, remoteDiscriminator } = await a.session(v4.b);
  const hex = (value: number): string => value.toString(16).padStart(8, '0');
  const down = (my: number, your: number): string =>
    `2040 0318 ${hex(my)} ${hex(your)} 000f4240 000493e0 00000000`.replaceAll(' ', '');
  const real = down(remoteDiscriminator, localDiscriminator);
  const forge = (ttl: number, ...packets: string[]): string =>
    b.exec(process.execPath, '-e', FORGER, '--', v4.a, String(ttl), ...packets);
  // All that it should say, but over a router; then from the next host, but not what it should say.
  forge(254, real, down(1, 0));
  forge(255, real.slice(0, 46), `00${real.slice(2)}`, down(0, localDiscriminator));
  forge(255, down(remoteDiscriminator, localDiscriminator ^ 1));
  const authenticated = `2044031a${real.slice(8)}0102`;
  forge(255, authenticated);
  await a.until(
    'the last of them was seen',
    ({ sessions: [view] }) => (view?.packets.dropped ?? 0) > 0,
  );
  const view = await a.session(v4.b);
  assert.equal(view.state, 'up');
  assert.equal(view.downs, 0);
  assert.equal(view.refused, null);
  // The same as it should be is believed: it is the peer's own word.
  forge(255, real);
  await a.until('believed', ({ sessions: [then] }) => then?.downs === 1);
});
