import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { dnsQuery, dnsRcode, rcodeName } from './dns';

test('a question as RFC 1035 writes it', () => {
  const bytes = Buffer.from(dnsQuery(0x1234, 'a.example.'));
  const expected = '1234 0100 0001 0000 0000 0000 0161 076578616d706c65 00 0001 0001';
  assert.equal(bytes.toString('hex'), expected.replaceAll(' ', ''));
  assert.equal(Buffer.from(dnsQuery(1, '.')).toString('hex').slice(24), '0000010001');
});

test('what is no name is refused', () => {
  for (const name of ['', 'a..b', 'ä.example', 'x'.repeat(64), `${'x'.repeat(60)}.`.repeat(5)]) {
    assert.throws(() => dnsQuery(1, name), RangeError, name);
  }
});

test('an answer is known by its id and its QR bit', () => {
  const answer = dnsQuery(7, 'a.example');
  assert.equal(dnsRcode(answer, 7), null, 'a question is no answer');
  answer[2] = 0x81;
  answer[3] = 0x83;
  assert.equal(dnsRcode(answer, 7), 3);
  assert.equal(rcodeName(3), 'NXDOMAIN');
  assert.equal(dnsRcode(answer, 8), null);
});

test('whatever comes is an rcode or none', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(0xffff), (bytes, id) => {
      const rcode = dnsRcode(bytes, id);
      assert.ok(rcode === null || (rcode >= 0 && rcode <= 15));
    }),
  );
});
