import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../model/prefix';
import { frameOf, hexOf, type PacketWords } from './frame';

const words = (from: string, to: string, over: Partial<PacketWords> = {}): PacketWords => {
  const [source, destination] = [parseAddress(from), parseAddress(to)];
  assert.ok(source && destination);
  const rest = { protocol: 17, sourcePort: 1, destinationPort: 2, tcpFlags: 0, length: 0 };
  return { from: source, to: destination, ...rest, ...over };
};

const MACS = '020000000000020000000000';

test('a UDP packet over IPv4, its header sum as RFC 1071 has it', () => {
  assert.equal(
    hexOf(frameOf(words('192.0.2.1', '198.51.100.2', { sourcePort: 123, destinationPort: 53 }))),
    `${MACS}08004500001c0000000040118e9ac0000201c6336402007b003500080000`,
  );
});

test('a SYN over IPv6', () => {
  const packet = words('2001:db8::1', '2001:db8::2', { protocol: 6, tcpFlags: 2 });
  assert.equal(
    hexOf(frameOf(packet)),
    `${MACS}86dd600000000014064020010db800000000000000000000000120010db8000000000000000000000002` +
      '0001000200000000000000005002000000000000',
  );
});

test('is as long as asked, and no shorter than its headers', () => {
  for (const [length, is] of [
    [468, 468],
    [5, 28],
  ] as const) {
    assert.equal(frameOf(words('192.0.2.1', '192.0.2.2', { length })).length, 14 + is);
  }
  assert.equal(frameOf(words('192.0.2.1', '192.0.2.2', { protocol: 1 })).length, 14 + 28);
  assert.equal(frameOf(words('::1', '::2', { protocol: 47 })).length, 14 + 40);
});
