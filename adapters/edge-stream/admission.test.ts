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
  const knock = (): { socket: Socket; ended: () => boolean } => {
    let ended = false;
    const socket = connect(door.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.on('close', () => (ended = true));
    t.after(() => socket.destroy());
    return { socket, ended: () => ended };
  };
  const peer = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress}:${remotePort}`;
  const shake = (i: number): void => door.entered(peer(inside[i]!));
  return { inside, knock, shake, away: () => away };
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

test('a handshake that hangs holds up nobody, and who makes no call is put out', async (t) => {
  const { inside, knock } = await world(t, { atOnce: 1, handshakeMs: 20, silentMs: 200 });
  const [first, second] = [knock(), knock()];
  await until('the second enters though the first hangs', () => inside.length === 2);
  await until('both are put out', () => first.ended() && second.ended());
});
