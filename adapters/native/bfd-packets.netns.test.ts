/** Which packets the pacer takes, for which session, and which never arrive. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip, waitFor } from './test-support';
import { controlPacket, HERE, hex, MULTIHOP, sessionOf, THERE, Wire } from './testing/bfd';

const down = { state: 'down', yourDiscriminator: 0 } as const;

/** Raw packets go out in the order they are told; the last one tells that those before were judged. */
const END = controlPacket({ yourDiscriminator: 0xeeee, diagnostic: 31 });

async function judged(wire: Wire): Promise<void> {
  const count = wire.events.length;
  await waitFor('the last packet', () => {
    wire.raw({ hex: hex(END) });
    return wire.of('packet').some(({ packet }, i) => i >= count - 1 && packet.equals(END));
  });
}

/** What was reported, without the marks of `judged`. */
const reported = (wire: Wire): { discriminator: number; packet: string }[] =>
  wire
    .of('packet')
    .filter(({ packet }) => !packet.equals(END))
    .map(({ discriminator, packet }) => ({ discriminator, packet: packet.toString('hex') }));

test('on 3784 only a TTL of 255 arrives; on 4784 any, and the TTL is told', async (t) => {
  const wire = await Wire.up(t);
  wire.set({ discriminator: 1 });
  wire.set({ discriminator: 9, remote: THERE.v6, multihop: true });
  wire.raw({ hex: hex(controlPacket({})), ttl: 254 });
  wire.raw({ hex: hex(controlPacket({})), ttl: 1 });
  wire.raw({ hex: hex(controlPacket({})), ttl: 254, from: THERE.v6, to: HERE.v6 });
  await judged(wire);
  assert.deepEqual(reported(wire), []);
  assert.equal(wire.pacer.counters(1).received, 0);

  const far = controlPacket({ yourDiscriminator: 9 });
  wire.raw({ hex: hex(far), ttl: 250, from: THERE.v6, to: HERE.v6, port: MULTIHOP });
  const event = await waitFor('it', () =>
    wire.of('packet').find(({ packet }) => packet.equals(far)),
  );
  assert.deepEqual([event.discriminator, event.ttl, event.multihop], [9, 250, true]);
  assert.equal(event.source, THERE.v6);
});

test('a packet is of the session that it names, if it comes from its peer and to its port', async (t) => {
  const wire = await Wire.up(t);
  ip('-n', wire.namespace, 'address', 'add', '10.77.0.3/24', 'dev', wire.far);
  wire.set({ discriminator: 1 });
  wire.set({ discriminator: 2, multihop: true });
  const unknown = controlPacket({ yourDiscriminator: 77 });
  const stranger = controlPacket({ desiredMinTxUs: 3 });
  const otherPort = controlPacket({ desiredMinTxUs: 4 });
  wire.raw({ hex: hex(unknown) });
  wire.raw({ hex: hex(stranger), from: '10.77.0.3' });
  // 4784 can be reached from anywhere: a stranger's packets are read by nobody.
  wire.raw({ hex: hex(controlPacket({ desiredMinTxUs: 5 })), from: '10.77.0.3', port: MULTIHOP });
  wire.raw({ hex: hex(otherPort), port: MULTIHOP });
  await waitFor('all', () => reported(wire).length >= 3);
  const byText = (a: { packet: string }, b: { packet: string }): number =>
    a.packet < b.packet ? -1 : 1;
  assert.deepEqual(
    reported(wire).sort(byText),
    [unknown, stranger, otherPort].map((p) => ({ discriminator: 0, packet: hex(p) })).sort(byText),
  );
  assert.equal(wire.pacer.counters(1).received, 0);
});

test('without a discriminator the source tells, and the destination where the session has one', async (t) => {
  const wire = await Wire.up(t);
  ip('address', 'add', '10.77.0.9/24', 'dev', wire.near);
  wire.set({ discriminator: 4, local: '10.77.0.9' });
  wire.set({ discriminator: 5, local: HERE.v4 });
  wire.set({ discriminator: 6, remote: THERE.v6 });
  wire.raw({ hex: hex(controlPacket({ ...down, myDiscriminator: 10 })), to: '10.77.0.9' });
  wire.raw({ hex: hex(controlPacket({ ...down, myDiscriminator: 11 })) });
  wire.raw({
    hex: hex(controlPacket({ ...down, myDiscriminator: 12 })),
    from: THERE.v6,
    to: HERE.v6,
  });
  await waitFor('all', () => reported(wire).length >= 3);
  const given = wire
    .of('packet')
    .map(({ discriminator, packet }) => `${packet.readUInt32BE(4)} → ${discriminator}`);
  assert.deepEqual(given.sort(), ['10 → 4', '11 → 5', '12 → 6']);
});

test('what RFC 5880 §6.8.6 discards is counted and never reported', async (t) => {
  const wire = await Wire.up(t);
  wire.set({ discriminator: 1, detectUs: 60_000_000 });
  const changed = (change: (bytes: Uint8Array) => void): string => {
    const bytes = controlPacket({});
    change(bytes);
    return hex(bytes);
  };
  const bad = [
    hex(controlPacket({}).subarray(0, 23)),
    hex(controlPacket({}).subarray(0, 3)),
    changed((b) => b.set([0x40], 0)), // version 2
    changed((b) => b.set([23], 3)), // length below 24
    changed((b) => b.set([200], 3)), // length beyond the payload
    changed((b) => b.set([0], 2)), // multiplier 0
    changed((b) => b.set([0xc1], 1)), // multipoint
    changed((b) => b.set([0, 0, 0, 0], 4)), // My Discriminator 0
    changed((b) => b.set([0, 0, 0, 0], 8)), // up, and yet Your Discriminator 0
    changed((b) => b.set([0xc4], 1)), // authenticated, without room for it
  ];
  for (const packet of bad) wire.raw({ hex: packet });
  await waitFor('all judged', () => wire.pacer.counters(1).dropped === bad.length);
  await judged(wire);
  assert.deepEqual(reported(wire), []);
  assert.equal(wire.pacer.counters(1).received, 0);
});

test('an authenticated packet is told whole, and is no sign of life', async (t) => {
  const wire = await Wire.up(t);
  wire.set({ discriminator: 1, detectUs: 300_000 });
  const signed = Buffer.concat([controlPacket({}), Buffer.alloc(28, 7), Buffer.alloc(8)]);
  signed.set([0xc4], 1);
  signed.set([52], 3);
  await waitFor('the expiry', () => {
    wire.raw({ hex: hex(signed) });
    return wire.of('expired').length > 0;
  });
  assert.equal(wire.of('packet')[0]?.packet.toString('hex'), hex(signed.subarray(0, 52)));
});

for (const { family, here, there, scoped } of [
  { family: 'IPv6', here: HERE.v6, there: THERE.v6, scoped: false },
  { family: 'link-local IPv6', here: HERE.link, there: THERE.link, scoped: true },
]) {
  for (const multihop of scoped ? [false] : [false, true]) {
    test(`both directions over ${family}${multihop ? ', several hops' : ''}`, async (t) => {
      const wire = await Wire.up(t);
      const at = (address: string, name: string): string => address + (scoped ? `%${name}` : '');
      const ours = controlPacket({ myDiscriminator: 1, yourDiscriminator: 2 });
      const remote = at(there, wire.near);
      wire.set({ discriminator: 1, remote, local: at(here, wire.near), multihop, packet: ours });
      const peerSession = sessionOf({
        discriminator: 2,
        remote: at(here, wire.far),
        local: at(there, wire.far),
        multihop,
      });
      wire.tell({ do: 'set', session: { ...peerSession, packet: hex(controlPacket({})) } });
      const heard = await waitFor('them', () => wire.of('packet')[0]);
      assert.deepEqual([heard.discriminator, heard.source, heard.multihop], [1, remote, multihop]);
      assert.equal(heard.ttl, 255);
      const told = await waitFor('us', () =>
        wire.packetsAtPeer().find(({ discriminator }) => discriminator !== 0),
      );
      assert.deepEqual([told.discriminator, told.source], [2, at(here, wire.far)]);
    });
  }
}

test('a session that can send only later is told so once, and sends as soon as it can', async (t) => {
  const wire = await Wire.up(t);
  const packet = controlPacket({ myDiscriminator: 1, yourDiscriminator: 2 });
  wire.set({ discriminator: 1, local: '10.77.0.9', packet });
  const sendFailures = (): (string | null)[] => wire.of('sendFailed').map(({ code }) => code);
  await waitFor('the error', () => sendFailures().length > 0);
  ip('address', 'add', '10.77.0.9/24', 'dev', wire.near);
  const told = await waitFor('packets', () => wire.packetsAtPeer()[0]);
  assert.equal(told.source, '10.77.0.9');
  await waitFor('the end of it', () => sendFailures().length > 1);
  assert.deepEqual(sendFailures(), ['EADDRNOTAVAIL', null]);
});

test('nobody at the other end is no failure', async (t) => {
  const wire = await Wire.up(t);
  // 127.0.0.0/8 answers with ICMP port unreachable: the pacer listens on 3784, so 4784 of a free family.
  const packet = controlPacket({ myDiscriminator: 1 });
  ip('-n', wire.namespace, 'address', 'add', '10.77.0.4/24', 'dev', wire.far);
  wire.set({ discriminator: 1, remote: '10.77.0.4', packet, pauseMinUs: 2_000, pauseMaxUs: 3_000 });
  await waitFor('packets', () => wire.pacer.counters(1).sent > 20);
  assert.deepEqual(wire.events, []);
});

test('addresses that are none, times that are none and packets of another length throw', async (t) => {
  const wire = await Wire.up(t);
  for (const wrong of [
    { remote: 'router-1' },
    { remote: '10.0.0.1%eth0' },
    { remote: 'fe80::1%' },
    { local: '::1' },
    { packet: new Uint8Array(23) },
    { expect: new Uint8Array(25) },
    { pauseMinUs: -1 },
    { detectUs: Number.NaN },
    { discriminator: 0 },
  ]) {
    assert.throws(() => wire.set({ discriminator: 1, ...wrong }), TypeError, JSON.stringify(wrong));
  }
  assert.throws(() => wire.pacer.counters(1), { code: 'ENOENT' });
});
