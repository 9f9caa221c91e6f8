/** The pacer thread against another one across a veth: times are the kernel's stamps of arrival. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { native } from './native';
import { waitFor } from './test-support';
import { controlPacket, hex, sessionOf, THERE, Wire } from './testing/bfd';
import type { SeenEvent } from './testing/bfd-peer';

const OURS = controlPacket({ myDiscriminator: 1, yourDiscriminator: 2 });
const THEIRS = controlPacket({ myDiscriminator: 2, yourDiscriminator: 1 });

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** In ms, between packets of one session as they arrived. */
function pausesMs(events: readonly SeenEvent[]): number[] {
  const at = events.map(({ atNs }) => Number(BigInt(atNs ?? 0) / 1000n) / 1000);
  return at.slice(1).map((time, i) => time - (at[i] ?? 0));
}

/** The peer sends THEIRS, every `us` at least and a quarter more at most. */
const paceAtPeer = (wire: Wire, us: number, packet: Uint8Array | null = THEIRS): void =>
  wire.tell({
    do: 'set',
    session: {
      ...sessionOf({ discriminator: 2, remote: '10.77.0.1', pauseMinUs: us }),
      pauseMaxUs: us * 1.25,
      packet: packet === null ? null : hex(packet),
    },
  });

test('pauses are drawn evenly from their range, never below it', async (t) => {
  const wire = await Wire.up(t);
  wire.set({ discriminator: 1, packet: OURS, pauseMinUs: 7_500, pauseMaxUs: 10_000 });
  await waitFor('packets', () => wire.packetsAtPeer().length > 150);
  const pauses = pausesMs(wire.packetsAtPeer());
  // Sent no sooner than drawn; a late packet makes the next pause shorter by the time it took to arrive.
  assert.ok(Math.min(...pauses) > 7, `${Math.min(...pauses)} ms`);
  const inRange = pauses.filter((ms) => ms < 11);
  assert.ok(inRange.length > pauses.length / 2, pauses.join(' '));
  const [early, late] = [inRange.filter((ms) => ms < 8.75), inRange.filter((ms) => ms >= 8.75)];
  assert.ok(
    early.length > 20 && late.length > 20,
    `${early.length} below the middle, ${late.length} above`,
  );
  t.diagnostic(
    `mean ${(sum(pauses) / pauses.length).toFixed(2)} ms, most ${Math.max(...pauses)} ms`,
  );
  const first = wire.packetsAtPeer()[0];
  assert.equal(first?.packet, hex(OURS));
  assert.equal(first?.['ttl'], 255);
});

test('packets like the expected one are not reported and put the deadline off; others are', async (t) => {
  const wire = await Wire.up(t);
  wire.set({ discriminator: 1, expect: THEIRS, detectUs: 300_000 });
  paceAtPeer(wire, 20_000);
  await waitFor('received', () => wire.pacer.counters(1).received > 40);
  assert.deepEqual(wire.events, []);

  wire.tell({ do: 'send', discriminator: 2, hex: hex(controlPacket({ poll: true })) });
  wire.tell({ do: 'send', discriminator: 2, hex: hex(controlPacket({ final: true })) });
  wire.tell({ do: 'send', discriminator: 2, hex: hex(controlPacket({ desiredMinTxUs: 7 })) });
  await waitFor('reports', () => wire.events.length >= 3);
  const packets = wire.of('packet').map(({ packet }) => packet.toString('hex'));
  assert.deepEqual(packets, [
    hex(controlPacket({ poll: true })),
    hex(controlPacket({ final: true })),
    hex(controlPacket({ desiredMinTxUs: 7 })),
  ]);
  const [event] = wire.of('packet');
  assert.deepEqual(
    { ...event, packet: null, atNs: null },
    {
      kind: 'packet',
      discriminator: 1,
      packet: null,
      source: THERE.v4,
      multihop: false,
      ttl: 255,
      atNs: null,
    },
  );
  const agoMs = Number((process.hrtime.bigint() - (event?.atNs ?? 0n)) / 1_000_000n);
  assert.ok(agoMs >= 0 && agoMs < 5_000, `${agoMs} ms ago`);
});

test('a changed packet is a sign of life as well', async (t) => {
  const wire = await Wire.up(t);
  wire.set({ discriminator: 1, expect: THEIRS, detectUs: 400_000 });
  paceAtPeer(wire, 20_000, controlPacket({ multiplier: 5 }));
  const endsAt = performance.now() + 1_200;
  await waitFor('longer than the detection time', () => performance.now() > endsAt);
  assert.deepEqual(wire.of('expired'), []);
});

test('silence is told once, in time, and again only after a packet', async (t) => {
  const wire = await Wire.up(t);
  wire.set({ discriminator: 1, expect: THEIRS, detectUs: 100_000 });
  paceAtPeer(wire, 10_000);
  await waitFor('packets', () => wire.pacer.counters(1).received > 10);
  paceAtPeer(wire, 10_000, null);
  await waitFor('the expiry', () => wire.of('expired').length > 0);
  paceAtPeer(wire, 10_000);
  await waitFor('packets again', () => wire.pacer.counters(1).received > 20);
  const endsAt = performance.now() + 300;
  await waitFor('three detection times', () => performance.now() > endsAt);
  assert.equal(wire.of('expired').length, 1);
  paceAtPeer(wire, 10_000, null);
  await waitFor('the second expiry', () => wire.of('expired').length > 1);
  const [first] = wire.of('expired');
  assert.equal(first?.discriminator, 1);
  assert.ok((first?.lateUs ?? -1) >= 0);
  t.diagnostic(
    `late by ${wire
      .of('expired')
      .map(({ lateUs }) => lateUs)
      .join(' and ')} µs`,
  );
});

test('silence from the first moment is told as well, and 0 is never', async (t) => {
  const wire = await Wire.up(t);
  wire.set({ discriminator: 1, detectUs: 50_000 });
  wire.set({ discriminator: 3, detectUs: 0 });
  await waitFor('the expiry', () => wire.of('expired').length > 0);
  wire.set({ discriminator: 5, detectUs: 50_000 });
  await waitFor('the other expiry', () => wire.of('expired').length > 1);
  assert.deepEqual(
    wire.events.map(({ kind, discriminator }) => [kind, discriminator]),
    [
      ['expired', 1],
      ['expired', 5],
    ],
  );
});

test('a change makes the running pause shorter, never longer', async (t) => {
  const wire = await Wire.up(t);
  const slow = { discriminator: 1, packet: OURS, pauseMinUs: 60_000_000, pauseMaxUs: 60_000_000 };
  wire.set(slow);
  await waitFor('the first packet, at once', () => wire.packetsAtPeer().length === 1);
  wire.set({ ...slow, pauseMinUs: 30_000, pauseMaxUs: 30_000 });
  await waitFor('the second, after the shorter pause', () => wire.packetsAtPeer().length > 4);
  for (let i = 0; i < 20; i++) {
    // Were each of these to begin the pause anew, nothing would be sent meanwhile.
    wire.set({ ...slow, pauseMinUs: 30_000, pauseMaxUs: 30_000 });
    const before = wire.packetsAtPeer().length;
    if (i % 5 === 0) await waitFor('another', () => wire.packetsAtPeer().length > before);
  }
  wire.set(slow);
  const before = wire.packetsAtPeer().length;
  await waitFor('the pause that ran', () => wire.packetsAtPeer().length > before);
});

test('a deadline follows its detection time: shorter at once, longer without a false alarm', async (t) => {
  const wire = await Wire.up(t);
  wire.set({ discriminator: 1, detectUs: 60_000_000 });
  wire.set({ discriminator: 1, detectUs: 30_000 });
  await waitFor('the expiry', () => wire.of('expired').length === 1);
  wire.set({ discriminator: 3, detectUs: 200_000 });
  wire.set({ discriminator: 3, detectUs: 60_000_000 });
  const endsAt = performance.now() + 500;
  await waitFor('the former deadline to pass', () => performance.now() > endsAt);
  assert.equal(wire.of('expired').length, 1);
});

test('what is removed neither sends nor reports', async (t) => {
  const wire = await Wire.up(t);
  wire.set({ discriminator: 1, packet: OURS, detectUs: 200_000 });
  await waitFor('packets', () => wire.packetsAtPeer().length > 3);
  wire.pacer.remove(1);
  assert.throws(() => wire.pacer.counters(1), { code: 'ENOENT' });
  assert.throws(() => wire.pacer.send(1, OURS), { code: 'ENOENT' });
  const before = await waitFor('quiet', async () => {
    const count = wire.packetsAtPeer().length;
    const endsAt = performance.now() + 300;
    await waitFor('a while', () => performance.now() > endsAt);
    return wire.packetsAtPeer().length === count ? count : null;
  });
  assert.ok(before > 3);
  assert.deepEqual(wire.of('expired'), []);
});

/** CPU time of the pacer's thread so far. */
function threadMs(): number {
  const thread = readdirSync('/proc/self/task').find((id) =>
    readFileSync(`/proc/self/task/${id}/comm`, 'utf8').startsWith('bfd-pacer'),
  );
  return Number(readFileSync(`/proc/self/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
}

test('between packets the thread sleeps: with pauses of no least, and deadlines that are put off', async (t) => {
  const wire = await Wire.up(t);
  wire.set({ discriminator: 1, expect: THEIRS, detectUs: 100_000 });
  wire.set({ discriminator: 3, packet: OURS, pauseMinUs: 0, pauseMaxUs: 300_000 });
  paceAtPeer(wire, 40_000);
  await waitFor('packets', () => wire.pacer.counters(1).received > 2);
  const [startMs, cpuMs] = [performance.now(), threadMs()];
  await waitFor('more of them', () => wire.pacer.counters(1).received > 30);
  const share = (threadMs() - cpuMs) / (performance.now() - startMs);
  assert.ok(share < 0.3, `${share} of a core`);
});

/** Twenty processes that never wait, for as long as the test runs. */
function busyProcesses(t: TestContext): void {
  const all = Array.from({ length: 20 }, () => spawn('sh', ['-c', 'while :; do :; done']));
  t.after(() => {
    for (const child of all) child.kill('SIGKILL');
  });
}

test('a hundred sessions at 50 ms beside twenty busy processes lose none', async (t) => {
  const wire = await Wire.up(t);
  busyProcesses(t);
  const all = Array.from({ length: 100 }, (_, i) => i + 1);
  for (const i of all) {
    const remote = '127.0.0.1';
    const packet = controlPacket({ myDiscriminator: i, yourDiscriminator: i });
    const pace = { pauseMinUs: 37_500, pauseMaxUs: 50_000, detectUs: 150_000 };
    wire.set({ discriminator: i, remote, packet, expect: packet, ...pace });
  }
  await waitFor('packets', () => wire.pacer.counters(100).received > 60, 30_000);
  const counters = all.map((i) => wire.pacer.counters(i));
  const most = (key: 'gapMaxUs' | 'lateMaxUs'): number =>
    Math.max(...counters.map((each) => each[key])) / 1000;
  t.diagnostic(
    `largest gap ${most('gapMaxUs')} ms, latest ${most('lateMaxUs')} ms, real-time: ${String(wire.pacer.realtime.held)}`,
  );
  // Without the right to real-time priority it runs on, and may well be late.
  if (wire.pacer.realtime.held) assert.deepEqual(wire.events, []);
  assert.ok(counters.every(({ sent, received }) => sent > 40 && received > 40));
});

test('the ports are taken by one at a time, and free after close', async (t) => {
  const wire = await Wire.up(t);
  assert.throws(() => native.BfdPacer.open(() => {}), { code: 'EADDRINUSE', syscall: 'bind' });
  wire.pacer.close();
  wire.pacer.close();
  assert.throws(() => wire.set({ discriminator: 1 }), { code: 'EBADF' });
  native.BfdPacer.open(() => {}).close();
});
