import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { Admission, WELCOME_EVERY_MS, WELCOMES_AT_ONCE } from './admission';
import { type DoorLimits, openDoor } from './door';

test('many at once are welcome; of those above each is given a moment of its own, and is welcome then', () => {
  const admission = new Admission();
  const waits = Array.from({ length: 1_000 }, (_, i) => admission.admit(`e${i}`, 10_000));
  assert.equal(waits.filter((ms) => ms === 0).length, WELCOMES_AT_ONCE);
  const later = waits.filter((ms) => ms > 0);
  assert.equal(new Set(later).size, later.length, 'no two have the same');
  assert.equal(Math.max(...later), later.length * WELCOME_EVERY_MS);
  assert.equal(admission.admit('e999', 10_001), waits[999]! - 1, 'too early');
  waits.forEach((ms, i) => {
    if (ms > 0) assert.equal(admission.admit(`e${i}`, 10_000 + ms), 0);
  });
  assert.equal(admission.admit('new', 10_000 + 1_000 * WELCOME_EVERY_MS), 0);
});

async function until(what: string, probe: () => boolean): Promise<void> {
  const endsAt = performance.now() + 10_000;
  while (!probe()) {
    if (performance.now() > endsAt) throw new Error(`not within 10 s: ${what}`);
    await delay(2);
  }
}

async function world(t: TestContext, limits: Partial<DoorLimits>) {
  const inside: Socket[] = [];
  /** As their certificates say, in the order in which they entered. */
  const clients: string[] = [];
  let away = 0;
  const door = await openDoor({
    listen: '127.0.0.1:0',
    enter: (socket) => inside.push(socket),
    turnedAway: () => (away += 1),
    limits,
  });
  t.after(() => {
    door.close();
    for (const socket of inside) socket.destroy();
  });
  const knock = (says = 'hello', from = '127.0.0.1') => {
    let ended = false;
    const socket = connect({ port: door.port, host: '127.0.0.1', localAddress: from });
    if (says !== '') socket.write(says);
    socket.on('error', () => undefined);
    socket.on('close', () => (ended = true));
    t.after(() => socket.destroy());
    return { socket, ended: () => ended };
  };
  const peer = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress}:${remotePort}`;
  const shake = (i: number): void => door.entered(peer(inside[i]!), () => clients[i] ?? `e${i}`);
  return { door, inside, knock, shake, clients, away: () => away };
}

test('a few shake hands at a time, the next when one is in, and who finds no room is told at once', async (t) => {
  const { inside, knock, shake, away } = await world(t, { atOnce: 2, waiting: 2 });
  const guests: ReturnType<typeof knock>[] = [];
  for (let i = 0; i < 4; i++) {
    guests.push(knock());
    await until(`${i} has come`, () => inside.length === Math.min(i + 1, 2));
  }
  await until('all have come', () => guests.every(({ socket }) => !socket.connecting));
  const fifth = knock();
  await until('the fifth is sent away', () => fifth.ended());
  assert.equal(away(), 1);
  assert.equal(inside.length, 2);
  shake(0);
  await until('the third enters', () => inside.length === 3);
  assert.equal(
    inside[2]?.remotePort,
    guests[2]?.socket.localPort,
    'in the order in which they came',
  );
  guests[1]?.socket.destroy();
  inside[1]?.resume();
  await until('the fourth enters in the place of one that left', () => inside.length === 4);
});

test('when the door is closed, who waits and who shakes hands is put out, and who is in stays', async (t) => {
  const { door, inside, knock, shake } = await world(t, { atOnce: 1, mutedMs: 60_000 });
  const first = knock();
  await until('the first enters', () => inside.length === 1);
  shake(0);
  const others = [knock(), knock(), knock('')];
  await until('the second enters', () => inside.length === 2);
  await until('all have come', () => others.every(({ socket }) => !socket.connecting));
  door.close();
  await until('all others are put out', () => others.every(({ ended }) => ended()));
  assert.deepEqual([inside.length, first.ended()], [2, false]);
});

test('a handshake that hangs holds up nobody, and who makes no call is put out', async (t) => {
  const { inside, knock } = await world(t, { atOnce: 1, handshakeMs: 20, silentMs: 200 });
  const [first, second] = [knock(), knock()];
  await until('the second enters though the first hangs', () => inside.length === 2);
  await until('both are put out', () => first.ended() && second.ended());
});

test('connections that one address holds open, silent or begun, keep off nobody of another one', async (t) => {
  const limits = { atOnce: 4, atOnceOfOne: 2, waiting: 8, handshakeMs: 60_000, mutedMs: 60_000 };
  const { inside, knock, away } = await world(t, limits);
  const held = [...Array(8).keys()].map((i) => knock(i % 2 === 0 ? '' : 'a handshake, begun'));
  await until('it has its share of the handshakes', () => inside.length === 2);
  const more = [...Array(8).keys()].map((i) => knock(i % 2 === 0 ? '' : 'a handshake, begun'));
  const ended = () => [...held, ...more].filter((each) => each.ended()).length;
  await until('it has taken all places before the door', () => ended() === 6 && away() === 6);
  const honest = [...Array(2).keys()].map(() => knock('a handshake', '127.0.0.2'));
  await until('edges of another address enter', () => inside.length === 4);
  assert.deepEqual(
    inside.slice(2).map(({ remotePort }) => remotePort),
    honest.map(({ socket }) => socket.localPort),
  );
  assert.ok(honest.every((each) => !each.ended()));
});

test('who says nothing is put out, and so is who says more than a handshake begins with', async (t) => {
  const { inside, knock } = await world(t, { mutedMs: 200 });
  const guests = [knock(''), knock('x'.repeat(20_000))];
  await until('both are put out', () => guests.every(({ ended }) => ended()));
  assert.equal(inside.length, 0);
});

test('a client has so many connections; the oldest makes place for the newest', async (t) => {
  const { inside, knock, shake, clients } = await world(t, { ofOneClient: 2 });
  const guests: ReturnType<typeof knock>[] = [];
  for (const [i, client] of ['e1', 'e1', 'e2', 'e1'].entries()) {
    guests.push(knock());
    await until(`${i} has entered`, () => inside.length === i + 1);
    clients.push(client);
    inside[i]?.resume();
    shake(i);
  }
  await until('the oldest is put out', () => guests[0]?.ended() === true);
  assert.deepEqual(
    guests.map(({ ended }) => ended()),
    [true, false, false, false],
  );
});
