import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reflectorDiscriminator } from './discriminator';

test('both ends know the discriminator of an address without having told each other', () => {
  assert.equal(reflectorDiscriminator('192.0.2.1'), 0xc0000201);
  assert.equal(reflectorDiscriminator('255.255.255.255'), 0xffffffff);
  // Fixed for ever: edges of two versions ask each other.
  assert.equal(reflectorDiscriminator('2001:db8::1'), reflectorDiscriminator('2001:DB8:0:0::1'));
  assert.equal(reflectorDiscriminator('2001:db8::1'), IPV6_EXAMPLE);
  assert.notEqual(reflectorDiscriminator('2001:db8::1'), reflectorDiscriminator('2001:db8::2'));
  assert.throws(() => reflectorDiscriminator('somebody'), TypeError);
});

const IPV6_EXAMPLE = 0xbc42cf98;
