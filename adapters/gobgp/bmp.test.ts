import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { peerDown } from './bmp';

/** RFC 7854 §4.1, §4.2, §4.9. */
function peerDownMessage(address: Buffer, flags: number, reason: number, rest: Buffer): Buffer {
  const header = Buffer.alloc(48);
  header[0] = 3;
  header[5] = 2;
  header[7] = flags;
  address.copy(header, 6 + 26 - address.length);
  const message = Buffer.concat([header, Buffer.from([reason]), rest]);
  message.writeUInt32BE(message.length, 1);
  return message;
}

const notification = (code: number, subcode: number, data: number[] = []): Buffer =>
  Buffer.concat([
    Buffer.alloc(16, 0xff),
    Buffer.from([0, 21 + data.length, 3, code, subcode, ...data]),
  ]);

test('a Peer Down tells who ended it, with which words', () => {
  const four = Buffer.from([10, 99, 1, 2]);
  assert.deepEqual(peerDown(peerDownMessage(four, 0, 3, notification(6, 4, [1, 0x41]))), {
    address: '10.99.1.2',
    by: 'peer',
    notification: { code: 6, subcode: 4, communication: 'A' },
    deconfigured: false,
  });
  const six = Buffer.from('20010db8000000000000000000000001', 'hex');
  assert.deepEqual(peerDown(peerDownMessage(six, 0x80, 4, Buffer.alloc(0))), {
    address: '2001:db8::1',
    by: 'nobody',
    notification: null,
    deconfigured: false,
  });
  assert.equal(peerDown(peerDownMessage(four, 0, 5, Buffer.alloc(0)))?.deconfigured, true);
  assert.equal(
    peerDown(peerDownMessage(four, 0, 1, notification(4, 0).subarray(0, 20)))?.notification,
    null,
  );
});

test('no bytes throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.boolean(), (bytes, isDown) => {
      const message = Buffer.from(bytes);
      if (isDown && message.length > 5) message[5] = 2;
      peerDown(message);
    }),
  );
});
