import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BFD_STATES } from '../model/routing';
import { type ControlPacket, decode, diagnosticName, encode, PACKET_BYTES } from './packet';

/** Up with Poll, as BIRD 2.0.12 sends it: 300 ms × 3. */
const UP_POLL = '20e8031800001a2b0000c0de000493e0000493e000000000';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const changed = (at: number, value: number): Uint8Array => {
  const copy = bytes(UP_POLL);
  copy[at] = value;
  return copy;
};

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const anyPacket = fc.record<ControlPacket>(
  {
    diagnostic: fc.integer({ min: 0, max: 31 }),
    state: fc.constantFrom(...BFD_STATES),
    poll: fc.boolean(),
    final: fc.boolean(),
    independent: fc.boolean(),
    demand: fc.boolean(),
    multiplier: fc.integer({ min: 1, max: 255 }),
    myDiscriminator: fc.integer({ min: 1, max: 0xffff_ffff }),
    yourDiscriminator: fc.integer({ min: 1, max: 0xffff_ffff }),
    desiredMinTxUs: u32,
    requiredMinRxUs: u32,
    requiredMinEchoRxUs: u32,
  },
  { noNullPrototype: true },
);

describe('a control packet', () => {
  it('reads field by field', () => {
    assert.deepEqual(decode(bytes(UP_POLL)), {
      ok: true,
      packet: {
        diagnostic: 0,
        state: 'up',
        poll: true,
        final: false,
        independent: true,
        demand: false,
        multiplier: 3,
        myDiscriminator: 0x1a2b,
        yourDiscriminator: 0xc0de,
        desiredMinTxUs: 300_000,
        requiredMinRxUs: 300_000,
        requiredMinEchoRxUs: 0,
      },
    });
  });

  const refused: [why: string, of: Uint8Array][] = [
    ['short', new Uint8Array(0)],
    ['short', bytes(UP_POLL).subarray(0, PACKET_BYTES - 1)],
    ['version', changed(0, 0x00)],
    ['version', changed(0, 0x40)],
    ['length', changed(3, 23)],
    ['length', changed(3, 25)],
    ['length', bytes(`${UP_POLL.slice(0, 6)}1a${UP_POLL.slice(8)}0102`)],
    ['multiplier', changed(2, 0)],
    ['multipoint', changed(1, 0xe9)],
    // A set: no room for the two bytes that every authentication section begins with.
    ['length', changed(1, 0xec)],
    ['authenticated', bytes(`20ec031a${UP_POLL.slice(8)}0102`)],
    ['myDiscriminator', bytes(`20e8031800000000${UP_POLL.slice(16)}`)],
    ['yourDiscriminator', bytes(`20e8031800001a2b00000000${UP_POLL.slice(24)}`)],
    ['yourDiscriminator', bytes(`2088031800001a2b00000000${UP_POLL.slice(24)}`)],
  ];
  for (const [why, of] of refused) {
    it(`is refused for its ${why}: ${Buffer.from(of).toString('hex') || 'nothing'}`, () => {
      assert.deepEqual(decode(of), { ok: false, why });
    });
  }

  it('may leave Your Discriminator out while it is Down or AdminDown', () => {
    for (const flags of ['48', '08']) {
      assert.ok(decode(bytes(`20${flags}031800001a2b00000000${UP_POLL.slice(24)}`)).ok, flags);
    }
  });

  it('is followed by what the UDP payload has on top, unread', () => {
    assert.deepEqual(decode(bytes(`${UP_POLL}ffff`)), decode(bytes(UP_POLL)));
  });

  it('lies anywhere in a larger buffer', () => {
    const buffer = new Uint8Array(64).fill(0xff);
    buffer.set(bytes(UP_POLL), 13);
    assert.deepEqual(decode(buffer.subarray(13, 13 + PACKET_BYTES)), decode(bytes(UP_POLL)));
  });

  it('comes back as it was encoded', () => {
    fc.assert(
      fc.property(anyPacket, (packet) => {
        const decoded = decode(encode(packet));
        assert.deepEqual(decoded, { ok: true, packet });
      }),
    );
  });

  it('never throws on anything, and what it takes it gives back to the bit', () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      // Near misses: a good packet with a few bytes changed.
      fc
        .tuple(anyPacket, fc.array(fc.tuple(fc.nat(23), fc.nat(255)), { maxLength: 3 }))
        .map(([packet, changes]) => {
          const encoded = encode(packet);
          for (const [at, value] of changes) encoded[at] = value;
          return encoded;
        }),
    );
    fc.assert(
      fc.property(noise, (of) => {
        const decoded = decode(of);
        if (decoded.ok) assert.deepEqual(encode(decoded.packet), of.slice(0, PACKET_BYTES));
      }),
      { numRuns: 2_000 },
    );
  });
});

it('a diagnostic has a name, known or not', () => {
  assert.equal(diagnosticName(1), 'Control Detection Time Expired');
  assert.equal(diagnosticName(17), 'Reserved (17)');
});
