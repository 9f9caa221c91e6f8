import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatPrefix, type Prefix } from '../model/prefix';
import { decodeAddr } from './addr';
import { Truncated } from './bytes';
import { RTM } from './consts';
import { decodeEvent } from './event';
import { Exchange } from './exchange';
import { formatAddress, prefixBytes } from './ip';
import { decodeLink, encodeNewVeth, type Link } from './link';
import { decodeAck, forEachMessage, type Message } from './message';
import { decodeNsid } from './nsid';
import { decodeRoute } from './route';

const DECODERS = [decodeLink, decodeAddr, decodeRoute, decodeNsid, decodeAck, decodeEvent];

/** Runs `decode`; anything thrown but Truncated fails the test. */
function survives(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    if (!(error instanceof Truncated)) throw error;
  }
}

/** Attributes that are well formed, so that the fuzz reaches what lies inside them. */
const attribute = fc
  .tuple(fc.integer({ min: 0, max: 70 }), fc.uint8Array({ maxLength: 40 }))
  .map(([type, payload]) => {
    const bytes = Buffer.alloc((4 + payload.length + 3) & ~3);
    bytes.writeUInt16LE(4 + payload.length, 0);
    bytes.writeUInt16LE(type, 2);
    bytes.set(payload, 4);
    return bytes;
  });
const body = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc
    .tuple(fc.uint8Array({ minLength: 4, maxLength: 20 }), fc.array(attribute, { maxLength: 8 }))
    .map(([head, attributes]) => Buffer.concat([head, ...attributes])),
);

test('decoders throw nothing but Truncated on any payload', () => {
  fc.assert(
    fc.property(body, fc.nat(0xffff), fc.nat(0xffff), (payload, type, flags) => {
      const bytes = Buffer.concat([Buffer.alloc(16), payload]);
      const message: Message = {
        type,
        flags,
        seq: 0,
        portId: 0,
        bytes,
        start: 16,
        end: bytes.length,
      };
      for (const decode of DECODERS) survives(() => decode(message));
      for (let known = RTM.NEWLINK; known <= RTM.GETNSID; known++) {
        survives(() => decodeEvent({ ...message, type: known }));
      }
    }),
    { numRuns: 3000 },
  );
});

test('a buffer of any bytes is cut into messages within its bounds, or is Truncated', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      survives(() =>
        forEachMessage(bytes, bytes.length, ({ start, end }) => {
          assert.ok(start <= end && end <= bytes.length);
        }),
      );
      survives(() => new Exchange().receive(bytes, bytes.length));
    }),
    { numRuns: 3000 },
  );
});

test('a message that is cut anywhere is Truncated or still decodes', () => {
  const whole = encodeNewVeth({ name: 'a', mtu: 1500, group: 3, peer: { name: 'b' } });
  for (let end = 16; end <= whole.length; end++) {
    const message = { type: 16, flags: 0, seq: 0, portId: 0, bytes: whole, start: 16, end };
    survives(() => decodeLink(message));
  }
});

test('names, aliases and numbers of a link come back as they went', () => {
  const text = fc.stringMatching(/^[\x21-\x7e\xa0-\xff]{1,15}$/);
  fc.assert(
    fc.property(text, fc.nat(65535), fc.nat(), (name, mtu, group) => {
      const bytes = encodeNewVeth({ name, mtu, group, peer: { name: 'p' } });
      const links: Link[] = [];
      forEachMessage(bytes, bytes.length, (message) => links.push(decodeLink(message)));
      assert.deepEqual(
        links.map((link) => [link.name, link.mtu, link.group, link.kind]),
        [[name, mtu, group, 'veth']],
      );
    }),
  );
});

test('addresses print as the model prints them, and come back', () => {
  const v4 = fc.record<Prefix>({
    family: fc.constant(4),
    bits: fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }),
    length: fc.nat(32),
  });
  // Sparse groups, so that runs of zeros of all lengths and places occur.
  const group = fc.oneof(fc.constant(0), fc.nat(0xffff));
  const v6 = fc.record<Prefix>({
    family: fc.constant(6),
    bits: fc
      .array(group, { minLength: 8, maxLength: 8 })
      .map((groups) => groups.reduce((bits, g) => (bits << 16n) | BigInt(g), 0n)),
    length: fc.nat(128),
  });
  fc.assert(
    fc.property(fc.oneof(v4, v6), (prefix) => {
      const text = formatPrefix(prefix);
      const parsed = prefixBytes(text)!;
      assert.equal(parsed.prefixLength, prefix.length);
      const printed = formatAddress(parsed.family, parsed.bytes, 0, parsed.bytes.length);
      assert.equal(`${printed}/${prefix.length}`, text);
    }),
    { numRuns: 1000, examples: [[{ family: 6, bits: 0xffff01020304n, length: 128 }]] },
  );
});
